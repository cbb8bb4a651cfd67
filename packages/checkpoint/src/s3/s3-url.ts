/**
 * `s3://bucket/prefix?endpoint=https://…&region=…&path_style=1&profile=…&checksums=…&create_only=0`: where a bucket is
 * and how its server wants to be spoken to. Who we are never stands in a URL, because URLs end up in logs.
 */
import { AppError, messageOf } from "@patina/base";
import { z } from "zod";
import { checkPrefix } from "../object-store.js";

const flag = z.enum(["0", "1"]).transform((text) => text === "1");

const parameters = z.strictObject({
  /** Of a server other than AWS. */
  endpoint: z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" }).optional(),
  region: z.string().min(1).optional(),
  /** The bucket in the path instead of the host name. On by default where `endpoint` is set. */
  path_style: flag.optional(),
  /** Of the shared credentials and config files. */
  profile: z.string().min(1).optional(),
  /** Whether requests carry the SDK's own checksums: `required` (only where S3 insists) or `supported` (AWS's default). */
  checksums: z.enum(["required", "supported"]).optional(),
  /** `0` for a server that does not know If-None-Match: two writers of one name are then told apart by luck. */
  create_only: flag.optional(),
});

export interface S3Place {
  readonly url: string;
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly isPathStyle: boolean;
  readonly profile: string | undefined;
  readonly checksums: "required" | "supported";
  readonly isCreateOnly: boolean;
}

const HINT = "Write s3://bucket/prefix?region=…, with endpoint=https://… for a server other than AWS.";

/** Throws `object-store` naming what is wrong. */
export function parseS3Url(text: string): S3Place {
  const url = parseUrl(text);
  refuseCredentials(url);
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) throw refusal(`${url.href} names no bucket`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, "");
  checkPrefix(prefix);
  const parsed = parameters.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) throw refusal(`${url.href}: ${z.prettifyError(parsed.error)}`);
  const { endpoint, region, path_style, profile, checksums, create_only } = parsed.data;
  if (endpoint !== undefined) refuseCredentials(new URL(endpoint));
  return {
    url: url.href,
    bucket,
    prefix: prefix === "" ? "" : `${prefix}/`,
    endpoint,
    region,
    isPathStyle: path_style ?? endpoint !== undefined,
    profile,
    // Servers other than AWS refuse or ignore what they do not know; Content-MD5 they all check.
    checksums: checksums ?? (endpoint === undefined ? "supported" : "required"),
    isCreateOnly: create_only ?? true,
  };
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw refusal(`not an s3:// URL: ${messageOf(cause)}`);
  }
}

function refuseCredentials(url: URL): void {
  const isSecret = [...url.searchParams.keys()].some((name) =>
    /access.?key|secret|token|password|credential/i.test(name),
  );
  if (url.username === "" && url.password === "" && !isSecret) return;
  throw new AppError("object-store", "the URL of an object store holds a credential", {
    hint: "Take it out; use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile of ~/.aws/credentials, or a role.",
  });
}

function refusal(message: string): AppError {
  return new AppError("object-store", message, { hint: HINT });
}
