/** Serves a hono app on an address, and WebSockets beside it. */
import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import type { Hono } from "hono";
import { type SocketHandler, serveSockets } from "./sockets.js";

/** How long a client may take to send one request: as long as a large load may need. */
const REQUEST_MS_MAX = 3_600_000;

/** What was asked before the end is answered, within so long; a stream of events has no last answer. */
const LAST_ANSWERS_MS = 500;

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, answers what was asked, ends streaming connections, and returns when all are closed. */
  close(): Promise<void>;
}

/** Rejects with Node's own error when the address cannot be had. */
export async function serveApi(
  app: Hono,
  { host, port }: { host: string; port: number },
  sockets: ReadonlyMap<string, SocketHandler> = new Map(),
): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const serverOptions = { requestTimeout: REQUEST_MS_MAX };
    const server = serve({ fetch: app.fetch, hostname: host, port, serverOptions }, (info) => {
      server.removeListener("error", reject);
      resolve({
        port: info.port,
        close: async () => {
          closeSockets();
          await closeServer(server as Server);
        },
      });
    });
    const closeSockets = serveSockets(server as Server, sockets);
    server.once("error", reject);
  });
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
