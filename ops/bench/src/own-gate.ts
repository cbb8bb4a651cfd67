/** A certificate for one node, made on the spot: both ends of a stream that is measured. */
import { newNodeId, systemNow } from "@patina/runtime";
import { createAuthority, Gate, issueCertificate, parseCredentials } from "@patina/security";

const HOUR_MS = 3_600_000;

export async function ownGate(node: string): Promise<Gate> {
  const nowMs = systemNow().wallMs;
  const validity = { fromMs: nowMs - HOUR_MS, untilMs: nowMs + HOUR_MS };
  const authority = await createAuthority("bench", validity, newNodeId());
  const pair = await issueCertificate(authority, { role: "regional", node }, validity, newNodeId());
  return new Gate(parseCredentials({ ca: authority.certificate, ...pair }));
}
