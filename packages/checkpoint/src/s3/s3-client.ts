/** The SDK's client, set up so that every wait has an end and no reply is believed that an S3 server would not give. */
import { S3Client } from "@aws-sdk/client-s3";
import { state as sdkState } from "@aws-sdk/core/client";
import { NotS3Error } from "./s3-error.js";
import type { S3Limits } from "./s3-limits.js";
import type { S3Place } from "./s3-url.js";

// The SDK warns each process that its releases of 2027 need a newer Node. Ours is pinned: that is for whoever raises it.
sdkState.warningEmitted = true;

/** What every reply tells, whatever was asked. */
export interface ReplyFacts {
  readonly status: number;
  /** The server's clock, from the Date header; undefined when it sends none that can be read. */
  readonly dateMs: number | undefined;
}

export function createS3Client(place: S3Place, limits: S3Limits, onReply: (facts: ReplyFacts) => void): S3Client {
  const checksums = place.checksums === "required" ? "WHEN_REQUIRED" : "WHEN_SUPPORTED";
  const client = new S3Client({
    ...(place.endpoint === undefined ? {} : { endpoint: place.endpoint }),
    ...(place.profile === undefined ? {} : { profile: place.profile }),
    ...regionOf(place),
    forcePathStyle: place.isPathStyle,
    followRegionRedirects: false,
    maxAttempts: limits.attempts,
    retryMode: "standard",
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.idleMs,
      throwOnRequestTimeout: true,
      socketTimeout: limits.idleMs,
      httpAgent: { keepAlive: true, maxSockets: limits.concurrency },
      httpsAgent: { keepAlive: true, maxSockets: limits.concurrency },
    },
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      inspect(result.response as Reply, onReply);
      return result;
    },
    // Innermost: the reply as it came, before the SDK makes something of it.
    { name: "patinaReply", step: "deserialize", priority: "low" },
  );
  return client;
}

/** A server of one's own rarely has regions, but the signature needs the name of one. AWS's comes from the chain. */
function regionOf({ region, endpoint }: S3Place): { region?: string } {
  if (region !== undefined) return { region };
  return endpoint === undefined ? {} : { region: "us-east-1" };
}

interface Reply {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: { destroy?: () => void };
}

/** A page in HTML is an answer of somebody else, with 200 as with 404. A gateway's 5xx says so by its status. */
function inspect({ statusCode, headers, body }: Reply, onReply: (facts: ReplyFacts) => void): void {
  const dateMs = Date.parse(headers["date"] ?? "");
  onReply({ status: statusCode, dateMs: Number.isNaN(dateMs) ? undefined : dateMs });
  const type = headers["content-type"] ?? "";
  if (statusCode >= 500 || !/^text\/html\b/i.test(type)) return;
  body?.destroy?.();
  throw new NotS3Error(`the reply is ${statusCode} with a page in HTML`);
}
