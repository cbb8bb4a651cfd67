/**
 * Watching apps across the tiers:
 *
 *   GET /v1/apps/:app/watch?from=TOKEN   one app, as NDJSON
 *   GET /v1/watch                        many apps on one WebSocket: {"watch": APP, "from": TOKEN} and {"unwatch": APP}
 *
 * Both begin with a snapshot, or after `from` with what was missed, and go on with every change. The second is in
 * watch-socket.ts.
 */
import type { Hono } from "hono";
import { stream } from "hono/streaming";
import type { Watches } from "../watch/watches.js";

export function addWatchRoutes(app: Hono, watches: Watches): void {
  app.get("/v1/apps/:app/watch", async (c) => {
    const watcher = await watches.open(c.req.param("app"), c.req.query("from"));
    c.header("content-type", "application/x-ndjson");
    return stream(c, async (out) => {
      out.onAbort(() => watcher.close());
      for (let events = await watcher.next(); events.length > 0; events = await watcher.next()) {
        await out.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      }
    });
  });
}
