/**
 * Whom a certificate is for: one URI in its subject alternative names.
 *
 *   patina://<cluster>/<role>/<node id>   a member           patina://<cluster>   the cluster's authority
 *
 * The cluster goes by its name alone, not by its generation: a generation is what a restore makes of the data, and a region
 * that is being brought back must not wait for new certificates. It is compared in the greeting, and part of every
 * datagram's key.
 */
import type { X509Certificate } from "node:crypto";
import { isNodeId, type NodeId } from "@patina/base";

export type Role = "regional" | "global";

export interface MemberName {
  readonly cluster: string;
  readonly role: Role;
  readonly node: NodeId;
}

export function memberUri({ cluster, role, node }: MemberName): string {
  return `patina://${cluster}/${role}/${node}`;
}

export function authorityUri(cluster: string): string {
  return `patina://${cluster}`;
}

/** Undefined unless it names exactly one member. */
export function memberNameOf(certificate: X509Certificate): MemberName | undefined {
  const [, cluster, role, node] = /^patina:\/\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(patinaUriOf(certificate) ?? "") ?? [];
  if (cluster === undefined || node === undefined || !isNodeId(node)) return undefined;
  return role === "regional" || role === "global" ? { cluster, role, node } : undefined;
}

/** The cluster that an authority is for. */
export function authorityClusterOf(certificate: X509Certificate): string | undefined {
  return certificate.ca ? /^patina:\/\/([^/]+)$/.exec(patinaUriOf(certificate) ?? "")?.[1] : undefined;
}

function patinaUriOf({ subjectAltName = "" }: X509Certificate): string | undefined {
  // Node quotes a name with a comma in it, which could otherwise pass for two. Ours have none.
  if (subjectAltName.includes('"')) return undefined;
  const uris = subjectAltName.split(", ").filter((name) => name.startsWith("URI:patina://"));
  return uris.length === 1 ? uris[0]?.slice("URI:".length) : undefined;
}
