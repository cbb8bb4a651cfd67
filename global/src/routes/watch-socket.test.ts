/** `/v1/watch` over real sockets: what a client may do in any order, and one that does not read. */
import { serveApi, type HttpServer } from "@patina/api";
import { defaultRouterConfig } from "@patina/router";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PlainWebSocket } from "../testing/plain-web-socket.js";
import { WatchedRegion } from "../testing/watched-region.js";
import { Watches } from "../watch/watches.js";
import { watchSocket } from "./watch-socket.js";

let region: WatchedRegion;
let watches: Watches;
let server: HttpServer;
let socket: PlainWebSocket;
let isOff: boolean;

beforeEach(async () => {
  isOff = false;
  region = await WatchedRegion.start();
  watches = new Watches({ rib: region.rib, config: defaultRouterConfig, isOff: () => isOff });
  const sockets = new Map([["/v1/watch", watchSocket(watches)]]);
  server = await serveApi(new Hono(), { host: "127.0.0.1", port: 0 }, { sockets });
  socket = await PlainWebSocket.open(server.port, "/v1/watch");
});

afterEach(async () => {
  socket.close();
  await server.close();
  watches.close();
  await region.close();
});

const watch = (app: string): string => JSON.stringify({ watch: app });
const unwatch = (app: string): string => JSON.stringify({ unwatch: app });

test("an app that is watched again before its first watch has opened is told of once, and nobody stays behind", async () => {
  region.place("web");
  socket.read();
  await socket.send(watch("web"), unwatch("web"), watch("web"));
  await vi.waitFor(() => expect(region.streams.size).toBe(1));
  region.say(1);
  await vi.waitFor(() => expect(watches.watchers).toBe(1));
  region.say(2);
  await socket.send(watch("other"));
  await vi.waitFor(() => expect(socket.received).toContainEqual(expect.objectContaining({ app: "other" })));
  await vi.waitFor(() =>
    expect(socket.received).toContainEqual(expect.objectContaining({ region: expect.anything() })),
  );
  const ofWeb = socket.received.filter((event) => (event as { app?: string }).app === "web");
  expect(ofWeb).toMatchObject([{ snapshot: {} }, { region: { instances: [{}, {}] } }]);
  socket.close();
  await vi.waitFor(() => expect(watches.watchers).toBe(0));
});

test(
  "a client that sends and does not read is refused within bounds, and told how often when it reads",
  { timeout: 60_000 },
  async () => {
    const messages = 60_000;
    const kernelBytesMax = 12e6; // What the sockets between the two may hold.
    const inTime = { timeout: 20_000 };
    await socket.send(...Array<string>(messages).fill("?"), watch("web"));
    await vi.waitFor(() => expect(watches.watchers).toBe(1), inTime);
    socket.read();
    // Whether one among so many is there is looked up: to compare with each would keep the reader from reading.
    await vi.waitFor(
      () => expect(socket.received.some((said) => (said as { app?: string }).app === "web")).toBe(true),
      inTime,
    );
    await vi.waitFor(
      () => expect(JSON.stringify(socket.received.at(-1))).toContain("more messages were refused"),
      inTime,
    );
    const refusals = JSON.stringify(socket.received).length;
    expect(refusals).toBeLessThan(kernelBytesMax);
    const told = socket.received.flatMap(
      (said) => /^(\d+) more/.exec((said as { error?: { detail: string } }).error?.detail ?? "")?.[1] ?? [],
    );
    const plain = socket.received.filter((said) => JSON.stringify(said).includes("not JSON"));
    expect(plain.length + told.reduce((sum, count) => sum + Number(count), 0)).toBe(messages);
  },
);

test("a refusal says what to do", async () => {
  const hint = expect.any(String);
  socket.read();
  await socket.send(...Array.from({ length: 501 }, (_, i) => watch(`app-${i}`)));
  await vi.waitFor(() =>
    expect(socket.received).toContainEqual({ error: expect.objectContaining({ code: "too-many", hint }) }),
  );
  isOff = true;
  await socket.send(unwatch("app-0"), watch("off"));
  const error = expect.objectContaining({ code: "switched-off", hint });
  await vi.waitFor(() => expect(socket.received).toContainEqual({ app: "off", error }));
});
