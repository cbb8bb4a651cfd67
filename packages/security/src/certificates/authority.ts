/**
 * Makes a cluster's certificate authority and its members' certificates: P-256, and nothing an agent needs at run time, so
 * the library behind it is loaded when it is used.
 */
import { createPrivateKey, KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { AppError, messageOf } from "@patina/base";
import type * as X509 from "@peculiar/x509";
import { authorityClusterOf, authorityUri, type MemberName, memberUri } from "./member-name.js";

/** A certificate and its private key, as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  /** Unix ms. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Authority extends KeyPair {
  readonly cluster: string;
}

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { ...CURVE, hash: "SHA-256" } as const;

/** `serial` is 32 hex digits that no other certificate has. */
export async function createAuthority(cluster: string, validity: Validity, serial: string): Promise<Authority> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const name = `CN=patina ${cluster} authority ${serial.slice(0, 8)}`;
  const { KeyUsageFlags } = x509;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialOf(serial),
    subject: name,
    issuer: name,
    ...datesOf(validity),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: authorityUri(cluster) }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cluster, certificate: pemOf(certificate), key: exportKey(keys.privateKey) };
}

/** Throws `config-invalid` when the certificate is not an authority's, or the key is another's. */
export function openAuthority({ certificate, key }: KeyPair, source: string): Authority {
  const hint = "Name a directory that `patina tls ca` has made.";
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw new Error("the key is not the certificate's");
  } catch (cause) {
    throw new AppError("config-invalid", `${source} is not an authority: ${messageOf(cause)}`, { cause, hint });
  }
  const cluster = authorityClusterOf(parsed);
  if (cluster === undefined) {
    throw new AppError("config-invalid", `${source} is not an authority of a cluster`, { hint });
  }
  return { cluster, certificate, key };
}

/** A certificate for one member, good for both ends of a stream. */
export async function issueCertificate(
  authority: Authority,
  member: Omit<MemberName, "cluster">,
  validity: Validity,
  serial: string,
): Promise<KeyPair> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certificate);
  const der = createPrivateKey(authority.key).export({ format: "der", type: "pkcs8" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, CURVE, false, ["sign"]);
  const keys = await webcrypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
  const { cluster } = authority;
  const extensions: X509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension([{ type: "url", value: memberUri({ cluster, ...member }) }]),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialOf(serial),
    subject: `CN=patina ${cluster} ${member.node.slice(0, 8)}`,
    issuer: issuer.subject,
    ...datesOf(validity),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey,
    extensions,
  });
  return { certificate: pemOf(certificate), key: exportKey(keys.privateKey) };
}

/** It registers its parts by decorators, which need the other one first. */
async function library(): Promise<typeof X509> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

/** A serial number is positive: its first bit is clear. */
function serialOf(hex: string): string {
  return `4${hex.slice(1)}`;
}

function datesOf({ fromMs, untilMs }: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(fromMs), notAfter: new Date(untilMs) };
}

function pemOf(certificate: { toString(format: "pem"): string }): string {
  return `${certificate.toString("pem")}\n`;
}

function exportKey(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ format: "pem", type: "pkcs8" }).toString();
}
