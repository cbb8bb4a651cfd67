/**
 * A HEAD is answered with the head of what a GET would get. The framework makes the whole answer for it and drops the body, which
 * nobody reads then: a stream without an end would hold its subscriber, or its watcher, for ever.
 */
import type { MiddlewareHandler } from "hono";

export const endBodyOfHead: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.req.method === "HEAD") await c.res.body?.cancel();
};
