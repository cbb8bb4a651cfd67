/** The end of a server: what was asked is answered, and what has no end is ended. */
import { Hono } from "hono";
import { stream } from "hono/streaming";
import { expect, test } from "vitest";
import { serveApi } from "./server.js";

test("a request under way is answered, an open stream ends, and nobody gets in any more", async () => {
  let [onAsked, answer] = [(): void => undefined, (_text: string): void => undefined];
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  const answered = new Promise<string>((resolve) => (answer = resolve));
  const app = new Hono();
  app.get("/slow", async (c) => {
    onAsked();
    return c.text(await answered);
  });
  app.get("/events", (c) =>
    stream(c, async (out) => {
      await out.write("first\n");
      await new Promise<void>((resolve) => out.onAbort(() => resolve()));
    }),
  );
  const server = await serveApi(app, { host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${server.port}`;
  const slow = fetch(`${url}/slow`).then((response) => response.text());
  const events = await fetch(`${url}/events`);
  await asked;
  const closed = server.close();
  answer("the answer");
  expect(await slow).toBe("the answer");
  await expect(fetch(`${url}/slow`)).rejects.toThrow("fetch failed");
  await expect(events.text()).rejects.toThrow("terminated");
  await closed;
});
