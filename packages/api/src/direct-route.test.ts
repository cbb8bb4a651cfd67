/** Who is answered in front of the framework: a plain GET, and nobody who may send more than a head. */
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inFront } from "./direct-route.js";

const server = createServer(
  inFront(
    (url) => {
      if (url === "/left") return undefined;
      if (url === "/thrown") throw new Error("not for the direct route");
      return { status: 200, json: '"direct: é"', bytes: 12 };
    },
    async (_request, response) => void response.end("framework"),
  ),
);

beforeAll(async () => void (await once(server.listen(0, "127.0.0.1"), "listening")));
afterAll(() => void server.close());

async function ask(method: string, path: string, headers: Record<string, string> = {}, body = ""): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const asked = request({ host: "127.0.0.1", port, method, path, headers, agent: false });
  const answer = once(asked, "response") as Promise<[AsyncIterable<Buffer>]>;
  asked.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of (await answer)[0]) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("in front of the framework", () => {
  test("a plain GET is answered directly, in UTF-8", async () => {
    expect(await ask("GET", "/")).toBe('"direct: é"');
    expect(await ask("GET", "/", { "content-longevity": "1", "x-forwarded-encode": "none" })).toBe('"direct: é"');
  });

  test.each([
    ["another method", "POST", "/", {}, ""],
    ["a body of a length, however that is written", "GET", "/", { "CONTENT-Length": "4" }, "body"],
    ["a body in chunks", "GET", "/", { "Transfer-Encoding": "chunked" }, "body"],
    ["what the direct route leaves", "GET", "/left", {}, ""],
    ["what it throws over", "GET", "/thrown", {}, ""],
  ])("%s is the framework's", async (_what, method, path, headers, body) => {
    expect(await ask(method, path, headers, body)).toBe("framework");
  });
});
