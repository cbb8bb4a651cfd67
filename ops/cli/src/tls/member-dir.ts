/**
 * What one member needs on its machine, in one directory:
 *
 *   member.crt · member.key      its certificate, which names its node, and its key
 *   ca.crt · keyring.json        as the authority has them
 */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, type NodeId } from "@patina/base";
import { newNodeId, systemNow } from "@patina/runtime";
import { expiryOf, issueCertificate, type MemberName, memberNameOf, type Role } from "@patina/security";
import type { AuthorityDir } from "./authority-dir.js";
import { writePublic, writeSecret } from "./files.js";
import { readCertificate } from "./read-certificate.js";
import { DAY_MS, validFor } from "./validity.js";

export interface Membership {
  readonly role: Role;
  /** A new one when left out: an agent with an empty data directory takes its id from its certificate. */
  readonly node?: NodeId | undefined;
  readonly days: number;
}

export interface MemberPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly keyring: string;
}

/** Renewed before agents begin to warn of it. */
const RENEW_BEFORE_MS = 45 * DAY_MS;

export function memberPathsIn(dir: string): MemberPaths {
  const [ca, cert, key, keyring] = ["ca.crt", "member.crt", "member.key", "keyring.json"].map((name) =>
    join(dir, name),
  );
  return { ca, cert, key, keyring } as MemberPaths;
}

export interface IssuedMember extends MemberName {
  /** Unix ms. */
  readonly untilMs: number;
  /** It was asked for longer, and is not good for longer than what signed it. */
  readonly isCutShort: boolean;
}

/** Throws `data-dir-not-empty` over a member that is there, and `config-invalid` for an authority that has expired. */
export async function issueMember(dir: string, from: AuthorityDir, member: Membership): Promise<IssuedMember> {
  if (existsSync(memberPathsIn(dir).cert)) {
    throw new AppError("data-dir-not-empty", `${dir} has a certificate already`, {
      hint: "Add --renew for a new certificate and key for the same member, or name another directory.",
    });
  }
  return issueInto(dir, from, member);
}

/** A new certificate and key for the same member. Throws `config-invalid` when there is none, or another cluster's. */
export async function renewMember(dir: string, from: AuthorityDir, days: number): Promise<IssuedMember> {
  const { role, node, cluster } = readMember(dir).name;
  if (cluster !== from.authority.cluster) {
    throw new AppError("config-invalid", `${dir} is a member of ${cluster}, not of ${from.authority.cluster}`);
  }
  return issueInto(dir, from, { role, node, days });
}

/** What `from` trusts now and its keys, and a new certificate when there is none for this member or it ends soon. */
export async function keepMember(dir: string, from: AuthorityDir, member: Membership): Promise<void> {
  const { cert, ca, keyring } = memberPathsIn(dir);
  const there = existsSync(cert) ? readMember(dir) : undefined;
  const node = member.node ?? there?.name.node;
  const isSigned = there?.certificate.verify(new X509Certificate(from.authority.certificate).publicKey) === true;
  const isLasting = there !== undefined && expiryOf(there.certificate) > systemNow().wallMs + RENEW_BEFORE_MS;
  if (!isSigned || !isLasting || there.name.node !== node) await issueInto(dir, from, { ...member, node });
  writePublic(ca, from.trusted);
  writeSecret(keyring, from.keyring);
}

async function issueInto(dir: string, from: AuthorityDir, member: Membership): Promise<IssuedMember> {
  const { role, node = newNodeId(), days } = member;
  const { wallMs } = systemNow();
  const endMs = expiryOf(new X509Certificate(from.authority.certificate));
  if (endMs <= wallMs) {
    throw new AppError("config-invalid", `the authority has expired at ${new Date(endMs).toISOString()}`, {
      hint: "Make one that takes over, and copy its ca.crt to every member first: patina tls ca DIR --cluster NAME --replace",
    });
  }
  const wanted = validFor(days, wallMs);
  const untilMs = Math.min(wanted.untilMs, endMs);
  const issued = await issueCertificate(from.authority, { role, node }, { ...wanted, untilMs }, newNodeId());
  const paths = memberPathsIn(dir);
  writePublic(paths.ca, from.trusted);
  writeSecret(paths.keyring, from.keyring);
  writeSecret(paths.key, issued.key); // An agent that looks now finds that they do not fit, and looks again.
  writePublic(paths.cert, issued.certificate);
  return { cluster: from.authority.cluster, role, node, untilMs, isCutShort: untilMs < wanted.untilMs };
}

function readMember(dir: string): { readonly certificate: X509Certificate; readonly name: MemberName } {
  const { cert } = memberPathsIn(dir);
  if (existsSync(cert)) {
    const certificate = readCertificate(readFileSync(cert), cert);
    const name = memberNameOf(certificate);
    if (name !== undefined) return { certificate, name };
  }
  throw new AppError("config-invalid", `${cert} is no member's certificate`, { hint: "Issue one without --renew." });
}
