/** What is in a file of certificates or keys, for people to check: nothing secret. */
import type { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { AppError, messageOf } from "@patina/base";
import { authorityClusterOf, expiryOf, memberNameOf, parseKeyring, readSecret } from "@patina/security";
import { readCertificate } from "./read-certificate.js";

export interface ShownCertificate {
  readonly kind: "authority" | "member" | "other";
  readonly subject: string;
  readonly cluster: string | null;
  readonly role: string | null;
  readonly node: string | null;
  readonly valid_from: string;
  readonly valid_until: string;
  readonly expired: boolean;
  readonly fingerprint: string;
}

export interface ShownKey {
  readonly epoch: number;
  readonly use: "seals" | "accepted";
}

export type ShownFile = { readonly certificates: ShownCertificate[] } | { readonly keys: ShownKey[] };

/** Throws `config-invalid` for a file that holds neither. */
export async function showFile(path: string, wallMs: number): Promise<ShownFile> {
  const text = readTextOf(path);
  if (text.trimStart().startsWith("{")) {
    const { primary, keys } = parseKeyring(await readSecret(path, "the keyring"), path);
    return { keys: keys.map(({ epoch }) => ({ epoch, use: epoch === primary ? "seals" : "accepted" })) };
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    throw new AppError("config-invalid", `${path} holds neither certificates nor a keyring`, {
      hint: "Private keys are not shown.",
    });
  }
  return { certificates: blocks.map((block) => show(readCertificate(block, path), wallMs)) };
}

function show(certificate: X509Certificate, wallMs: number): ShownCertificate {
  const member = memberNameOf(certificate);
  const authority = authorityClusterOf(certificate);
  return {
    kind: member !== undefined ? "member" : authority !== undefined ? "authority" : "other",
    subject: certificate.subject,
    cluster: member?.cluster ?? authority ?? null,
    role: member?.role ?? null,
    node: member?.node ?? null,
    valid_from: new Date(Date.parse(certificate.validFrom)).toISOString(),
    valid_until: new Date(expiryOf(certificate)).toISOString(),
    expired: expiryOf(certificate) <= wallMs,
    fingerprint: certificate.fingerprint256,
  };
}

function readTextOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new AppError("config-invalid", messageOf(cause), {
      cause,
      hint: "Name a file that `patina tls` has written.",
    });
  }
}
