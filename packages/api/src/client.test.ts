/** The client before servers that end in the middle, or answer what is no answer: always the same clear error, never a part. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PatinaClient } from "./client.js";

let server: Server | undefined;
afterEach(() => server?.close());

async function clientOf(answer: RequestListener): Promise<PatinaClient> {
  const listening = (server = createServer(answer));
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return new PatinaClient(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`);
}

/** Sends a part of what it announced, and is gone. */
const breakingOff: RequestListener = (_request, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  response.write('{"columns":["id"]}\n', () => response.destroy());
};

async function eventsOf(client: PatinaClient, signal?: AbortSignal): Promise<unknown[]> {
  const events = [];
  for await (const event of client.events("/", signal === undefined ? {} : { signal })) events.push(event);
  return events;
}

test("an answer that breaks off is no answer", async () => {
  const client = await clientOf(breakingOff);
  await expect(client.request("/")).rejects.toMatchObject({ code: "agent-unreachable", hint: expect.any(String) });
  await expect(eventsOf(client)).rejects.toMatchObject({ code: "agent-unreachable" });
  await expect(client.query("SELECT 1")).rejects.toMatchObject({ code: "agent-unreachable" });
});

test("what is not JSON is no answer either, and an error's status counts more than its text", async () => {
  const client = await clientOf((request, response) => {
    response.writeHead(request.url === "/error" ? 502 : 200).end("<html>hello</html>\n");
  });
  await expect(client.request("/")).rejects.toMatchObject({ code: "agent-unreachable" });
  await expect(client.request("/error")).rejects.toThrow("answered 502");
  await expect(eventsOf(client)).rejects.toMatchObject({ code: "agent-unreachable" });
});

test("who ends a stream has their own reason back", async () => {
  const client = await clientOf((_request, response) => {
    response.writeHead(200).write('{"n":1}\n');
  });
  const ended = new AbortController();
  const reason = new Error("enough");
  const reading = (async () => {
    for await (const event of client.events("/", { signal: ended.signal, timeoutMs: 0 })) {
      expect(event).toEqual({ n: 1 });
      ended.abort(reason);
    }
  })();
  await expect(reading).rejects.toBe(reason);
});
