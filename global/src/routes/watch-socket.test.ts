/** `/v1/watch` over real sockets: what a client may do in any order, and one that does not read. */
import { once } from "node:events";
import { serveApi, type HttpServer } from "@patina/api";
import { defaultRouterConfig } from "@patina/router";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { WatchedRegion } from "../testing/watched-region.js";
import { Watches } from "../watch/watches.js";
import { watchSocket } from "./watch-socket.js";

let region: WatchedRegion;
let watches: Watches;
let server: HttpServer;
let socket: WebSocket;
let received: unknown[];
let isOff: boolean;

beforeEach(async () => {
  isOff = false;
  region = await WatchedRegion.start();
  watches = new Watches({ rib: region.rib, config: defaultRouterConfig, isOff: () => isOff });
  const sockets = new Map([["/v1/watch", watchSocket(watches)]]);
  server = await serveApi(new Hono(), { host: "127.0.0.1", port: 0 }, { sockets });
  received = [];
  socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/watch`);
  socket.on("message", (data: Buffer) => received.push(JSON.parse(data.toString())));
  await once(socket, "open");
});

afterEach(async () => {
  socket.terminate();
  await server.close();
  watches.close();
  await region.close();
});

function send(...texts: readonly string[]): void {
  for (const text of texts) socket.send(text);
}

const watch = (app: string): string => JSON.stringify({ watch: app });
const unwatch = (app: string): string => JSON.stringify({ unwatch: app });

test("an app that is watched again before its first watch has opened is told of once, and nobody stays behind", async () => {
  region.place("web");
  send(watch("web"), unwatch("web"), watch("web"));
  await vi.waitFor(() => expect(region.streams.size).toBe(1));
  region.say(1);
  await vi.waitFor(() => expect(watches.watchers).toBe(1));
  region.say(2);
  send(watch("other"));
  await vi.waitFor(() => expect(received).toContainEqual(expect.objectContaining({ app: "other" })));
  await vi.waitFor(() => expect(received).toContainEqual(expect.objectContaining({ region: expect.anything() })));
  const ofWeb = received.filter((event) => (event as { app?: string }).app === "web");
  expect(ofWeb).toMatchObject([{ snapshot: {} }, { region: { instances: [{}, {}] } }]);
  socket.close();
  await vi.waitFor(() => expect(watches.watchers).toBe(0));
});

test("a client that sends what is refused, and does not read, is let go", { timeout: 60_000 }, async () => {
  const inTime = { timeout: 20_000 };
  send(watch("web"));
  await vi.waitFor(() => expect(watches.watchers).toBe(1), inTime);
  socket.pause();
  const sender = setInterval(() => send(...Array<string>(5000).fill("?")), 1);
  await vi.waitFor(() => expect(watches.watchers).toBe(0), inTime);
  clearInterval(sender);
  const closed = once(socket, "close");
  socket.resume();
  await closed;
});

test("a refusal says what to do", async () => {
  const hint = expect.any(String);
  send(...Array.from({ length: 501 }, (_, i) => watch(`app-${i}`)));
  await vi.waitFor(() =>
    expect(received).toContainEqual({ error: expect.objectContaining({ code: "too-many", hint }) }),
  );
  isOff = true;
  send(unwatch("app-0"), watch("off"));
  const error = expect.objectContaining({ code: "switched-off", hint });
  await vi.waitFor(() => expect(received).toContainEqual({ app: "off", error }));
});
