/** Serves a hono app on an address, with WebSockets beside it and a direct route in front of it. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { type DirectRoute, inFront } from "./direct-route.js";
import { type SocketHandler, serveSockets } from "./sockets.js";

/** How long a client may take to send one request: as long as a large load may need. */
const REQUEST_MS_MAX = 3_600_000;

/** A client that vanished while nothing was said to it, as on a watch: the kernel finds out, and its stream ends. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

/** What was asked before the end is answered, within so long; a stream of events has no last answer. */
const LAST_ANSWERS_MS = 500;

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, answers what was asked, ends streaming connections, and returns when all are closed. */
  close(): Promise<void>;
}

/** What an app is served with, beside its address. */
export interface Beside {
  /** By path. */
  readonly sockets?: ReadonlyMap<string, SocketHandler>;
  readonly direct?: DirectRoute;
}

/** Rejects with Node's own error when the address cannot be had. */
export async function serveApi(
  app: Hono,
  { host, port }: { host: string; port: number },
  { sockets = new Map(), direct = () => undefined }: Beside = {},
): Promise<HttpServer> {
  const framework = getRequestListener(app.fetch, { hostname: host });
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, ...KEEP_ALIVE }, inFront(direct, framework));
  const closeSockets = serveSockets(server, sockets);
  server.listen(port, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closeSockets();
      await closeServer(server);
    },
  };
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const late = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS);
    server.close(() => {
      clearTimeout(late);
      resolve();
    });
    server.closeIdleConnections();
  });
}
