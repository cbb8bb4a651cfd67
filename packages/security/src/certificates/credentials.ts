/** What a node proves itself with and judges others by: its certificate and key, and the authorities it trusts. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { AppError, messageOf } from "@patina/base";
import { type MemberName, memberNameOf } from "./member-name.js";

/** PEM texts. The authorities may be several: the old one and the new, while one takes over. */
export interface CredentialTexts {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Plain data: it may cross to another thread. */
export interface Credentials extends CredentialTexts {
  readonly self: MemberName;
  /** When the certificate begins to be good; Unix ms. */
  readonly validFromMs: number;
  /** When the certificate ends, and the first of the authorities; Unix ms. */
  readonly expiresMs: number;
  readonly authorityExpiresMs: number;
}

/** P-256, as OpenSSL calls it: requests are signed with ES256, and with another key a region would publish nothing. */
const CURVE = "prime256v1";

/**
 * Throws `config-invalid` with what does not fit: no certificate in it, a key of another curve, another's key, no member named,
 * not signed by an authority in `ca`. An expired certificate is none of these: its node goes on, alone, until it is renewed; nor
 * is one that is not valid yet.
 */
export function parseCredentials(texts: CredentialTexts): Credentials {
  const authorities = authoritiesIn(texts);
  const [leaf, ...intermediates] = certificatesIn(texts.certificate, "cert");
  if (leaf === undefined) throw invalid("cert", "it holds no certificate");
  if (leaf.publicKey.asymmetricKeyDetails?.namedCurve !== CURVE) {
    throw invalid("cert", "its key is not of the curve P-256, with which a member signs");
  }
  if (!leaf.checkPrivateKey(privateKey(texts.key))) throw invalid("key", "it is not the key of the certificate");
  const self = memberNameOf(leaf);
  if (self === undefined) throw invalid("cert", "it names no member (patina://<cluster>/<role>/<node id>)");
  if (![...intermediates, ...authorities].some((issuer) => leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey))) {
    throw invalid("cert", "none of the authorities in gossip.tls.ca has signed it");
  }
  const authorityExpiresMs = Math.min(...authorities.map(expiryOf));
  return { ...texts, self, validFromMs: Date.parse(leaf.validFrom), expiresMs: expiryOf(leaf), authorityExpiresMs };
}

/** Why the certificate is good for nothing at that time: undefined while it is good. */
export function staleness({ validFromMs, expiresMs }: Credentials, wallMs: number): string | undefined {
  if (wallMs < validFromMs) return `it is not valid before ${new Date(validFromMs).toISOString()}`;
  return wallMs < expiresMs ? undefined : `it has expired at ${new Date(expiresMs).toISOString()}`;
}

export function authoritiesIn({ ca }: Pick<CredentialTexts, "ca">): X509Certificate[] {
  return certificatesIn(ca, "ca");
}

/** Unix ms. */
export function expiryOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function certificatesIn(pem: string, key: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw invalid(key, "it holds no certificate");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw invalid(key, messageOf(cause));
  }
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw invalid("key", messageOf(cause));
  }
}

function invalid(key: string, why: string): AppError {
  return new AppError("config-invalid", `gossip.tls.${key}: ${why}`, {
    hint: "`patina tls issue` writes the three files, and `patina tls show FILE` says what is in one.",
  });
}
