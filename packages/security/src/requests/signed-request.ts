/**
 * A request of a member to another cluster, signed with the key of its certificate: how a border proves to the global tier
 * which region it speaks for, over plain HTTP and through whatever stands between.
 *
 * The token is a JWS (RFC 7515) with the certificate in `x5c`; what it signs names the request and the digest of its body,
 * and when it was made. It may be replayed for a minute, which changes nothing: rows carry stamps, and an older one loses;
 * what has none of its own goes by the time in the token.
 */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { compactVerify, CompactSign, decodeProtectedHeader } from "jose";
import { messageOf, type NodeId } from "@patina/base";
import type { Credentials } from "../certificates/credentials.js";
import { memberNameOf } from "../certificates/member-name.js";

export interface SignedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: Uint8Array;
}

export type Verified =
  | {
      readonly region: string;
      readonly node: NodeId;
      /** When it was signed, Unix ms, by the signer's clock. */
      readonly atMs: number;
    }
  /** In words for whoever sent it. */
  | { readonly refused: string };

const SCHEME = "Patina ";
const ALGORITHM = "ES256";
const TYPE = "patina-request";
/** A token of a clock that is off by less counts. */
const VALID_MS = 60_000;
/** A certificate is a kilobyte; what is longer is no token. */
const TOKEN_CHARS_MAX = 8192;

/** The `authorization` header of the request. */
export async function signRequest(
  { certificate, key }: Pick<Credentials, "certificate" | "key">,
  request: SignedRequest,
  nowMs: number,
): Promise<string> {
  const leaf = new X509Certificate(certificate);
  const token = await new CompactSign(new TextEncoder().encode(JSON.stringify(claimsOf(request, nowMs))))
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, x5c: [leaf.raw.toString("base64")] })
    .sign(createPrivateKey(key));
  return SCHEME + token;
}

/** `authoritiesOf` gives the authorities of a region's cluster, none for a region that is not known. */
export async function verifyRequest(
  authorization: string | undefined,
  request: SignedRequest,
  authoritiesOf: (region: string) => readonly X509Certificate[],
  nowMs: number,
): Promise<Verified> {
  if (authorization === undefined || !authorization.startsWith(SCHEME)) return { refused: "it has no credential" };
  if (authorization.length > TOKEN_CHARS_MAX) return { refused: "its credential is too long" };
  const token = authorization.slice(SCHEME.length);
  try {
    const leaf = leafOf(token);
    const name = memberNameOf(leaf);
    if (name?.role !== "regional") return { refused: "its certificate is not one of a region's member" };
    const issuer = authoritiesOf(name.cluster).find((each) => leaf.checkIssued(each) && leaf.verify(each.publicKey));
    if (issuer === undefined) return { refused: `no authority that is known for region ${name.cluster} has signed it` };
    const [untimely] = [leaf, issuer].flatMap((each) => untimelinessOf(each, nowMs) ?? []);
    if (untimely !== undefined) return { refused: untimely };
    const { payload, protectedHeader } = await compactVerify(token, leaf.publicKey, { algorithms: [ALGORITHM] });
    if (protectedHeader.typ !== TYPE) return { refused: "its credential is for something else" };
    const atMs = timeOf(JSON.parse(new TextDecoder().decode(payload)), request, nowMs);
    return typeof atMs === "number" ? { region: name.cluster, node: name.node, atMs } : { refused: atMs };
  } catch (thrown) {
    return { refused: `its credential is none: ${messageOf(thrown)}` };
  }
}

interface Claims {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** Unix ms. */
  readonly at: number;
}

function claimsOf({ method, path, body }: SignedRequest, nowMs: number): Claims {
  return { method, path, body: createHash("sha256").update(body).digest("base64url"), at: Math.floor(nowMs) };
}

/** When it was signed, or what is wrong with it. */
function timeOf(signed: Partial<Claims>, request: SignedRequest, nowMs: number): number | string {
  const { method, path, body } = claimsOf(request, nowMs);
  if (signed.method !== method || signed.path !== path) return "its credential is for another request";
  if (signed.body !== body) return "its credential is for another body";
  if (typeof signed.at !== "number" || !(Math.abs(nowMs - signed.at) <= VALID_MS)) {
    return `its credential was not made within ${VALID_MS / 1000} s of now: is a clock wrong?`;
  }
  return signed.at;
}

function leafOf(token: string): X509Certificate {
  const [leaf] = decodeProtectedHeader(token).x5c ?? [];
  if (leaf === undefined) throw new Error("it has no certificate");
  return new X509Certificate(Buffer.from(leaf, "base64"));
}

function untimelinessOf({ validFrom, validTo }: X509Certificate, nowMs: number): string | undefined {
  if (nowMs < Date.parse(validFrom)) return "its certificate is not valid yet: is a clock wrong?";
  return nowMs < Date.parse(validTo) ? undefined : "its certificate has expired";
}
