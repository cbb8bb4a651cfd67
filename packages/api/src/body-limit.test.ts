/** Bodies beyond the limit, over a real connection: whether they say how long they are, or not. */
import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { Hono } from "hono";
import { afterAll, expect, test } from "vitest";
import { limitBodies } from "./body-limit.js";
import { jsonBody } from "./json-body.js";
import { problemResponse } from "./problem.js";
import { serveApi } from "./server.js";

const app = new Hono();
app.onError((thrown) => problemResponse(thrown));
app.use(limitBodies(10, (c) => c.req.path === "/unlimited"));
app.post("/limited", async (c) => c.json(await jsonBody(c)));
app.post("/unlimited", async (c) => c.json(await jsonBody(c)));
app.get("/limited", (c) => c.json("a GET"));
const server = await serveApi(app, { host: "127.0.0.1", port: 0 });
afterAll(() => server.close());

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pieces: readonly string[];
  readonly agent?: Agent | false;
}

async function send({
  method = "POST",
  path = "/limited",
  headers = {},
  pieces,
  agent = false,
}: Sent): Promise<unknown> {
  const answer = await new Promise<string>((resolve, reject) => {
    const order = { port: server.port, host: "127.0.0.1", method, path, headers, agent };
    const sent = request(order, (response) => void text(response).then(resolve, reject));
    sent.once("error", reject);
    for (const piece of pieces) sent.write(piece);
    sent.end();
  });
  return JSON.parse(answer);
}

const TOO_LARGE = { status: 413, code: "body-too-large", detail: "the body has more than 10 bytes" };

test("a body that says how long it is", async () => {
  expect(await send({ headers: { "content-length": "10" }, pieces: ['"12345678"'] })).toBe("12345678");
  expect(await send({ headers: { "content-length": "11" }, pieces: ['"123456789"'] })).toMatchObject(TOO_LARGE);
});

test("a body in chunks, of which nobody says how long it is", async () => {
  expect(await send({ pieces: ['"1234', '5678"'] })).toBe("12345678");
  expect(await send({ pieces: ['"1234', '56789"'] })).toMatchObject(TOO_LARGE);
});

test("what is read in pieces, and what has no body, is let through", async () => {
  expect(await send({ path: "/unlimited", headers: { "content-length": "11" }, pieces: ['"123456789"'] })).toBe(
    "123456789",
  );
  expect(await send({ path: "/unlimited", pieces: ['"123456789"'] })).toBe("123456789");
  expect(await send({ method: "GET", pieces: [] })).toBe("a GET");
});

test("the next request of a connection is read from where it begins, after a body that was refused", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const long = `"${"x".repeat(100_000)}"`;
  expect(await send({ agent, headers: { "content-length": String(long.length) }, pieces: [long] })).toMatchObject(
    TOO_LARGE,
  );
  expect(await send({ agent, pieces: ['"ok"'] })).toBe("ok");
  agent.destroy();
});
