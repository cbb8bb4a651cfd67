/** What is neither a request nor a socket of ours: it is answered, nobody else notices, and nothing of it outlives the server. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type HttpServer, serveApi } from "./server.js";
import type { SocketHandler } from "./sockets.js";

const app = new Hono();
app.get("/livez", (c) => c.text("alive"));
app.post("/livez", async (c) => c.text(await c.req.text()));
let server: HttpServer;

beforeEach(async () => {
  const echo: SocketHandler = (socket) => socket.onMessage((message) => socket.send(message));
  const sockets = new Map([["/v1/echo", echo]]);
  server = await serveApi(app, { host: "127.0.0.1", port: 0 }, { sockets });
});
afterEach(() => server.close());

const WEBSOCKET = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

async function dial(request: string): Promise<Socket> {
  const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  socket.write(`${request}Host: x\r\nConnection: upgrade\r\n\r\n`);
  return socket;
}

const head = (method: string, path: string, rest: string): string => `${method} ${path} HTTP/1.1\r\n${rest}`;

async function answerTo(request: string): Promise<string> {
  const socket = await dial(request);
  const answer = await text(socket);
  socket.end();
  return answer;
}

test("a socket on a path without one, and on what is no path at all, is refused", async () => {
  for (const path of ["/nothing", "//", "/livez"]) {
    expect(await answerTo(head("GET", path, WEBSOCKET))).toMatch(/^HTTP\/1\.1 404 /);
  }
  expect(await (await fetch(`http://127.0.0.1:${server.port}/livez`)).text()).toBe("alive");
});

test("a request that offers another protocol is answered in this one", async () => {
  const answer = await answerTo(head("GET", "/livez", "Upgrade: h2c\r\n"));
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toMatch(/alive$/);
  expect(await answerTo(head("POST", "/livez", "Upgrade: h2c\r\nContent-Length: 1\r\n"))).toMatch(/^HTTP\/1\.1 400 /);
});

test("one that is gone before it is answered takes nobody with it", async () => {
  for (let n = 0; n < 20; n++) (await dial(head("GET", "/nothing", WEBSOCKET))).resetAndDestroy();
  const echo = new WebSocket(`ws://127.0.0.1:${server.port}/v1/echo`);
  await once(echo, "open");
  echo.send("still here");
  expect(String((await once(echo, "message"))[0])).toBe("still here");
});

test("one that never ends its half does not hold up the server's end", async () => {
  const socket = await dial(head("GET", "/nothing", WEBSOCKET));
  await once(socket, "data");
  await server.close();
  socket.destroy();
});
