/** How members speak: secured by certificates and keys, or in plaintext because somebody asked for it. */
import { AppError, must } from "@patina/base";
import { type AgentRuntime, isLoopback, parseAddress, systemNow } from "@patina/runtime";
import { readSecurity, type Role, type Security, type SecurityPaths } from "@patina/security";
import type { Logger } from "@patina/telemetry";
import type { AgentProcessConfig } from "./config.js";
import { SecurityWatch } from "./security-watch.js";

/** The files that secure the members; undefined for plaintext. */
function securityPathsOf({ gossip }: AgentProcessConfig): SecurityPaths | undefined {
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

/** Keeps `runtime` with the files that `openTransport` has read, until it is closed. */
export function watchSecurity(parts: {
  readonly config: AgentProcessConfig;
  readonly role: Role;
  readonly runtime: AgentRuntime;
  readonly security: Security;
  readonly log: Logger;
}): SecurityWatch {
  const { config, role, runtime, security, log } = parts;
  return new SecurityWatch({
    paths: must(securityPathsOf(config), "what was read has paths"),
    cluster: config.cluster.name,
    role,
    node: security.credentials.self.node,
    security,
    log,
    now: systemNow,
    onReplaced: (replaced) => runtime.replaceSecurity(replaced),
  });
}

/** Plaintext has to be asked for, and asked for twice beyond this machine. */
function checkPlaintext({ gossip }: AgentProcessConfig): void {
  if (!gossip.insecure) {
    throw new AppError("config-invalid", "gossip.tls: nothing secures what members say to each other", {
      hint: "Set [gossip.tls] and gossip.keyring to what `patina tls issue` wrote; on loopback, insecure = true will do.",
    });
  }
  const { host } = parseAddress(gossip.address);
  if (isLoopback(host) || gossip.insecure_force) return;
  throw new AppError("config-invalid", `gossip.address: plaintext on ${host} would be open to the network`, {
    hint: "Set [gossip.tls] and gossip.keyring; where something else protects the network, insecure_force = true will do.",
  });
}
