/** A request's body as JSON, or a clear refusal. */
import { AppError } from "@patina/base";
import type { Context } from "hono";

/** Throws `bad-request` for a body that is not JSON. */
export async function jsonBody(c: Context): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (cause) {
    throw new AppError("bad-request", "the body is not JSON", { cause, hint: "Send a JSON document." });
  }
}
