/** A HEAD of a stream: it gets the head, and the stream has nobody left. */
import { Hono } from "hono";
import { stream } from "hono/streaming";
import { expect, test } from "vitest";
import { endBodyOfHead } from "./head-body.js";
import { serveApi } from "./server.js";

test("a stream without an end is ended by a HEAD of it, and its head is what a GET gets", async () => {
  const app = new Hono();
  app.use(endBodyOfHead);
  let onGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => (onGone = resolve));
  app.get("/events", (c) => {
    c.header("content-type", "application/x-ndjson");
    return stream(c, async (out) => {
      out.onAbort(onGone);
      await gone;
    });
  });
  const server = await serveApi(app, { host: "127.0.0.1", port: 0 });
  const response = await fetch(`http://127.0.0.1:${server.port}/events`, { method: "HEAD" });
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  await gone;
  await server.close();
});
