/**
 * A cluster's authority on disk. Whoever has it can make members: keep it where no agent runs.
 *
 *   ca.crt         the authorities the members trust: the one that signs first, then the one it has replaced
 *   ca.key         signs certificates
 *   keyring.json   the keys that seal datagrams, for every member the same
 */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "@patina/base";
import { newKey, newNodeId, systemNow } from "@patina/runtime";
import {
  type Authority,
  authorityClusterOf,
  createAuthority,
  formatKeyring,
  newKeyring,
  openAuthority,
  readSecret,
} from "@patina/security";
import { writePublic, writeSecret } from "./files.js";
import { readCertificate } from "./read-certificate.js";
import { validFor } from "./validity.js";

export interface AuthorityDir {
  readonly authority: Authority;
  /** For the members to have: who is trusted, and the keys. */
  readonly trusted: string;
  readonly keyring: string;
}

export interface NewAuthority {
  readonly cluster: string;
  readonly days: number;
  /** Take over from the authority that is there. Its certificate stays trusted, so that members can follow one by one. */
  readonly replace: boolean;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/;

/**
 * Throws `data-dir-not-empty` over an authority that is there and not to be replaced. One that takes over needs no more of the
 * old one than its certificate: that a key was lost is a reason for it.
 */
export async function createAuthorityDir(
  dir: string,
  { cluster, days, replace }: NewAuthority,
): Promise<AuthorityDir & { readonly takesOver: boolean }> {
  const { crt, key, keyring } = pathsIn(dir);
  const isThere = existsSync(crt) || existsSync(key);
  if (isThere && !replace) {
    throw new AppError("data-dir-not-empty", `${dir} has an authority already`, {
      hint: "Add --replace for a new one that takes over from it; members trust both until it is replaced again.",
    });
  }
  const made = await createAuthority(cluster, validFor(days, systemNow().wallMs), newNodeId());
  const before = certificateIn(crt);
  const named = before && authorityClusterOf(new X509Certificate(before));
  if (before !== undefined && named !== cluster) {
    throw new AppError("bad-request", `${dir} is the authority of ${named ?? "no cluster"}, not of ${cluster}`);
  }
  for (const path of [crt, key]) if (existsSync(path)) renameSync(path, `${path}.replaced`);
  if (!existsSync(keyring)) writeSecret(keyring, formatKeyring(newKeyring(newKey())));
  writeSecret(key, made.key);
  writePublic(crt, made.certificate + (before ?? ""));
  return { ...(await openAuthorityDir(dir)), takesOver: before !== undefined };
}

export function isAuthorityDir(dir: string): boolean {
  return existsSync(pathsIn(dir).crt);
}

/** Throws `config-invalid`. */
export async function openAuthorityDir(dir: string): Promise<AuthorityDir> {
  const { crt, key, keyring } = pathsIn(dir);
  if (!existsSync(crt)) {
    throw new AppError("config-invalid", `there is no authority in ${dir}`, {
      hint: "Make one: patina tls ca DIR --cluster NAME",
    });
  }
  if (!existsSync(key)) {
    throw new AppError("config-invalid", `${key} is not there: nothing can be issued without it`, {
      hint: `Copy it from where it was kept, or make an authority that takes over: patina tls ca ${dir} --cluster NAME --replace`,
    });
  }
  if (!existsSync(keyring)) {
    throw new AppError("config-invalid", `${keyring} is not there`, {
      hint: "Copy it from any member: all have the same.",
    });
  }
  const trusted = readFileSync(crt, "utf8");
  const certificate = certificateIn(crt) ?? "";
  return {
    authority: openAuthority({ certificate, key: await readSecret(key, "the authority's key") }, dir),
    trusted,
    keyring: await readSecret(keyring, "the keyring"),
  };
}

/** The first certificate in it, as PEM: undefined without the file. Throws `config-invalid` when it is damaged. */
function certificateIn(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const [pem = ""] = CERTIFICATE.exec(readFileSync(path, "utf8")) ?? [];
  readCertificate(pem, path);
  return pem;
}

function pathsIn(dir: string): { readonly crt: string; readonly key: string; readonly keyring: string } {
  return { crt: join(dir, "ca.crt"), key: join(dir, "ca.key"), keyring: join(dir, "keyring.json") };
}
