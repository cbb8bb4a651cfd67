/**
 * What went wrong between us and an S3 server, as one of Patina's codes: S3's own names and the system's errors on the
 * left, the code and the remedy on the right. A code each, because what to do about them differs.
 */
import { AppError, type ErrorCode, messageOf } from "@patina/base";

/** A reply that no S3 server gives: a captive portal, a wrong proxy, a wrong port. */
export class NotS3Error extends Error {
  override readonly name = "NotS3Error";
}

/** A body that ended before its length was reached. */
export class TruncatedError extends Error {
  override readonly name = "TruncatedError";
}

/** Bytes that are not those that were sent, by the store's own digest. */
export class CorruptError extends Error {
  override readonly name = "CorruptError";
}

export interface S3Context {
  /** As in "cannot write KEY". */
  readonly verb: string;
  readonly key: string;
  readonly url: string;
  readonly bucket: string;
  /** Our clock minus the server's, when both are known. */
  readonly skewMs: number | undefined;
}

interface Remedy {
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint: string;
}

const DENIED: Remedy = {
  code: "object-store-access-denied",
  what: "these credentials may not do that",
  hint: "Allow them to get, put and list the prefix; to delete only where checkpoints are pruned.",
};
const EXPIRED: Remedy = {
  code: "object-store-credentials-expired",
  what: "the credentials have expired",
  hint: "Get new ones, or use a source that renews them (a role, or a profile with credential_process).",
};
const THROTTLED: Remedy = {
  code: "object-store-throttled",
  what: "the store asks to slow down, and went on asking",
  hint: "Try again later; raise the store's request limit if this is usual.",
};
const FULL: Remedy = {
  code: "object-store-full",
  what: "the store has no room, or a quota is used up",
  hint: "Free space, raise the quota, or shorten the retention.",
};
const TIMEOUT: Remedy = {
  code: "object-store-timeout",
  what: "the store did not answer in time",
  hint: "Look at the store and the network between; nothing half-written is ever taken for an object.",
};
const UNREACHABLE: Remedy = {
  code: "object-store-unreachable",
  what: "the store cannot be reached",
  hint: "Check the endpoint, its name in the DNS, its port and its certificate.",
};
const CERTIFICATE: Remedy = {
  code: "object-store-unreachable",
  what: "the store's certificate is not one to trust",
  hint: "Correct the endpoint, or point NODE_EXTRA_CA_CERTS to the authority that signed it.",
};
const NOT_S3: Remedy = {
  code: "object-store-not-s3",
  what: "what answers at this endpoint is no S3 server",
  hint: "Correct the endpoint, or the proxy or login page that stands before it.",
};
const CORRUPT: Remedy = {
  code: "object-store-corrupt",
  what: "bytes changed on the way or in the store",
  hint: "Look for a faulty network path or disk; what is damaged in the store, restore from another checkpoint.",
};
const REGION: Remedy = {
  code: "object-store-region",
  what: "the bucket is in another region",
  hint: "Put the bucket's region in the URL: region=….",
};
const UNSUPPORTED: Remedy = {
  code: "object-store-unsupported",
  what: "the store does not know create-only writes (If-None-Match)",
  hint: "Use a store that does, or add create_only=0 to its URL and let one writer at a time use it.",
};

const REMEDIES: Readonly<Record<string, Remedy>> = {
  CredentialsProviderError: {
    code: "object-store-no-credentials",
    what: "there are no credentials to sign with",
    hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile that exists with profile=….",
  },
  InvalidAccessKeyId: {
    code: "object-store-key-unknown",
    what: "the store does not know this access key id",
    hint: "Correct AWS_ACCESS_KEY_ID or the profile; a key that was deleted needs a new one.",
  },
  SignatureDoesNotMatch: {
    code: "object-store-secret-wrong",
    what: "the secret does not belong to the access key id",
    hint: "Correct AWS_SECRET_ACCESS_KEY or the profile; a proxy that rewrites requests breaks signatures, too.",
  },
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  InvalidToken: EXPIRED,
  AccessDenied: DENIED,
  AllAccessDisabled: DENIED,
  NoSuchBucket: {
    code: "object-store-bucket-absent",
    what: "there is no such bucket",
    hint: "Create it, or correct its name in the URL.",
  },
  RequestTimeTooSkewed: {
    code: "object-store-clock",
    what: "this machine's clock is too far from the store's",
    hint: "Set the clock: run an NTP client.",
  },
  PermanentRedirect: REGION,
  AuthorizationHeaderMalformed: REGION,
  IllegalLocationConstraintException: REGION,
  SlowDown: THROTTLED,
  ServiceUnavailable: THROTTLED,
  TooManyRequests: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  QuotaExceeded: FULL,
  InsufficientStorage: FULL,
  XMinioStorageFull: FULL,
  NotImplemented: UNSUPPORTED,
  BadDigest: CORRUPT,
  InvalidDigest: CORRUPT,
  XAmzContentChecksumMismatch: CORRUPT,
  XAmzContentSHA256Mismatch: CORRUPT,
  CorruptError: CORRUPT,
  NotS3Error: NOT_S3,
  TruncatedError: {
    code: "object-store-truncated",
    what: "the reply was cut short",
    hint: "Look for what ends connections early: a proxy's limit, an unsteady network.",
  },
  TimeoutError: TIMEOUT,
  AbortError: TIMEOUT,
  RequestTimeout: TIMEOUT,
  ECONNREFUSED: UNREACHABLE,
  ECONNRESET: UNREACHABLE,
  EPIPE: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  EAI_AGAIN: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ETIMEDOUT: TIMEOUT,
  EPROTO: UNREACHABLE,
  CERT_HAS_EXPIRED: CERTIFICATE,
  DEPTH_ZERO_SELF_SIGNED_CERT: CERTIFICATE,
  ERR_TLS_CERT_ALTNAME_INVALID: CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: CERTIFICATE,
  // What Node's parser says of an answer that is not even HTTP.
  HPE_INVALID_CONSTANT: NOT_S3,
  HPE_INVALID_VERSION: NOT_S3,
};

/** For replies that name no error: a HEAD, or what an intermediary answered in the store's place. */
const REMEDIES_BY_STATUS: Readonly<Record<number, Remedy>> = {
  301: REGION,
  403: DENIED,
  429: THROTTLED,
  501: UNSUPPORTED,
  502: UNREACHABLE,
  503: THROTTLED,
  504: TIMEOUT,
  507: FULL,
};

/** Never throws; anything without a remedy of its own is `object-store`. */
export function s3Error(thrown: unknown, { verb, key, url, bucket, skewMs }: S3Context): AppError {
  if (thrown instanceof AppError) return thrown;
  const remedy = remedyOf(thrown);
  const skew = remedy?.code === "object-store-clock" ? skewMs : undefined;
  const what = remedy === undefined ? messageOf(thrown) : `${remedy.what} (${saidBy(thrown)})`;
  const by = skew === undefined ? "" : `, by ${(skew / 1000).toFixed(0)} s`;
  return new AppError(
    remedy?.code ?? "object-store",
    `cannot ${verb} ${key || "the objects"} in ${url}: ${what}${by}`,
    {
      cause: thrown,
      hint: remedy?.hint ?? "Run `patina checkpoint doctor` on the store.",
      details: { object: key, store: url, bucket, ...(skew === undefined ? {} : { skewMs: skew }) },
    },
  );
}

export function statusOf(thrown: unknown): number | undefined {
  const { $metadata: metadata } = (thrown ?? {}) as { $metadata?: { httpStatusCode?: number } };
  return metadata?.httpStatusCode;
}

export function nameOf(thrown: unknown): string {
  const { name, code, Code } = (thrown ?? {}) as { name?: unknown; code?: unknown; Code?: unknown };
  const named = [Code, code, name].find((each) => typeof each === "string" && each in REMEDIES);
  return String(named ?? name);
}

function remedyOf(thrown: unknown): Remedy | undefined {
  const byName = REMEDIES[nameOf(thrown)];
  if (byName !== undefined) return byName;
  const status = statusOf(thrown);
  if (status !== undefined && REMEDIES_BY_STATUS[status] !== undefined) return REMEDIES_BY_STATUS[status];
  if (status === 200) return NOT_S3; // It was taken for success, and then could not be read.
  const { cause } = (thrown ?? {}) as { cause?: unknown };
  return cause === undefined ? undefined : remedyOf(cause);
}

function saidBy(thrown: unknown): string {
  const [firstLine = ""] = messageOf(thrown).split("\n");
  const name = nameOf(thrown);
  return firstLine === "" || firstLine === name || firstLine === "UnknownError" ? name : `${name}: ${firstLine}`;
}
