/**
 * Watching apps across the tiers:
 *
 *   GET /v1/apps/:app/watch?from=TOKEN   one app, as NDJSON
 *   GET /v1/watch                        many apps on one WebSocket: {"watch": APP, "from": TOKEN} and {"unwatch": APP}
 *
 * Both begin with a snapshot, or after `from` with what was missed, and go on with every change.
 */
import { asAppError, AppError } from "@patina/base";
import { problemOf, type SocketHandler } from "@patina/api";
import type { Hono } from "hono";
import { stream } from "hono/streaming";
import { z } from "zod";
import type { Watcher, Watches } from "../watch/watches.js";

/** Apps watched on one socket. */
const APPS_PER_SOCKET_MAX = 500;
/** Of a socket whose reader does not read: then nothing more is taken, and the watches lag instead. */
const BUFFERED_BYTES_MAX = 1 << 20;

const request = z.union([
  z.strictObject({ watch: z.string().min(1).max(255), from: z.string().max(64).optional() }),
  z.strictObject({ unwatch: z.string().min(1).max(255) }),
]);

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

/** Serves `/v1/watch`. */
export function watchSocket(watches: Watches): SocketHandler {
  return (socket) => {
    const open = new Map<string, Watcher | undefined>();
    const say = (document: unknown): void => socket.send(JSON.stringify(document));
    const follow = async (app: string, from: string | undefined): Promise<void> => {
      const watcher = await watches.open(app, from);
      if (!open.has(app)) return watcher.close(); // Unwatched, or gone, meanwhile.
      open.set(app, watcher);
      for (let events = await watcher.next(); events.length > 0; events = await watcher.next()) {
        for (const event of events) say({ app, ...event });
        await socket.drained(BUFFERED_BYTES_MAX);
      }
    };
    socket.onMessage((text) => {
      try {
        const wanted = parse(text);
        if ("unwatch" in wanted) {
          open.get(wanted.unwatch)?.close();
          open.delete(wanted.unwatch);
          return;
        }
        const { watch, from } = wanted;
        if (open.has(watch)) return;
        if (open.size >= APPS_PER_SOCKET_MAX)
          throw new AppError("too-many", `${APPS_PER_SOCKET_MAX} apps on one socket`);
        open.set(watch, undefined);
        follow(watch, from).catch((thrown: unknown) => {
          open.delete(watch);
          say({ app: watch, error: problemOf(asAppError(thrown)) });
        });
      } catch (thrown) {
        say({ error: problemOf(asAppError(thrown)) });
      }
    });
    socket.onClose(() => {
      for (const watcher of open.values()) watcher?.close();
      open.clear();
    });
  };
}

function parse(text: string): z.infer<typeof request> {
  const hint = 'Send {"watch": "APP"}, with "from" to go on after a token, or {"unwatch": "APP"}.';
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new AppError("bad-request", "the message is not JSON", { cause, hint });
  }
  const parsed = request.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `the message is not what this socket takes: ${z.prettifyError(parsed.error)}`, {
    hint,
  });
}
