/**
 * No body beyond a limit is read. One that says how long it is, as nearly all do, is judged by what it says, to which Node holds
 * it: the framework's own limit asks for the body as a web stream first, and that is more work than writing a small object.
 */
import { AppError } from "@patina/base";
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { problemResponse } from "./problem.js";

/** A request for which `isUnlimited` holds is let through: its route reads it in pieces. Others answer `body-too-large`. */
export function limitBodies(bytesMax: number, isUnlimited: (c: Context) => boolean): MiddlewareHandler {
  const refuse = (): Response => {
    const message = `the body has more than ${bytesMax} bytes`;
    const hint = "Split the request, or stream objects to /v1/tables/TABLE/rows as application/x-ndjson.";
    return problemResponse(new AppError("body-too-large", message, { hint }));
  };
  const limitChunked = bodyLimit({ maxSize: bytesMax, onError: refuse });
  return async (c, next) => {
    if (isUnlimited(c)) return next();
    if (c.req.header("transfer-encoding") !== undefined) return limitChunked(c, next);
    // Without either head there is no body (RFC 9112, 6.3).
    const bytes = Number(c.req.header("content-length") ?? 0);
    return bytes > bytesMax ? refuse() : next();
  };
}
