/** How members speak: secured by certificates and keys, or in plaintext because somebody asked for it. */
import { AppError } from "@patina/base";
import { isLoopback, parseAddress } from "@patina/runtime";
import { readSecurity, type Role, type Security, type SecurityPaths } from "@patina/security";
import type { AgentProcessConfig } from "./config.js";

/** The files that secure the members; undefined for plaintext. */
export function securityPathsOf({ gossip }: AgentProcessConfig): SecurityPaths | undefined {
  const { tls, keyring } = gossip;
  return tls === undefined || keyring === undefined ? undefined : { ...tls, keyring };
}

/** Throws `config-invalid` for files that do not secure this cluster, and for plaintext that was not asked for. */
export async function openTransport(config: AgentProcessConfig, role: Role): Promise<Security | undefined> {
  const paths = securityPathsOf(config);
  if (paths !== undefined) return readSecurity(paths, config.cluster.name, role);
  checkPlaintext(config);
  return undefined;
}

/** Plaintext has to be asked for, and asked for twice beyond this machine. */
function checkPlaintext({ gossip }: AgentProcessConfig): void {
  if (!gossip.insecure) {
    throw new AppError("config-invalid", "gossip.tls: nothing secures what members say to each other", {
      hint: "Set [gossip.tls] and keyring to what `patina tls issue` wrote; or, on loopback, insecure = true under [gossip].",
    });
  }
  const { host } = parseAddress(gossip.address);
  if (isLoopback(host) || gossip.insecure_force) return;
  throw new AppError("config-invalid", `gossip.address: plaintext on ${host} would be open to the network`, {
    hint: "Secure it with [gossip.tls] and keyring; or, where something else protects the network, set insecure_force = true.",
  });
}
