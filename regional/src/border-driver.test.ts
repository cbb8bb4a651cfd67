/** The border's driver over a real store and a global agent that refuses: what it says, and how often it asks. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentProcess } from "@patina/process";
import { newDbId, newNodeId } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BorderDriver } from "./border-driver.js";
import { SCHEMA_FILES } from "./tier.js";

let dir: string;
let store: SqliteStore;
let global: Server;
let api: string;
/** What the border has sent, and what its log has of it. */
let posts: string[];
let logged: string[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "patina-driver-"));
  const schemaSql = SCHEMA_FILES.map((file) => readFileSync(file, "utf8")).join("\n");
  const cluster = { name: "iad", generation: 1 };
  store = new SqliteStore({ path: join(dir, "state.db"), cluster, node: newNodeId(), newDbId, schemaSql });
  store.commit([{ kind: "rows", rows: [{ table: "machines", values: { id: "m", app: "app", state: "started" } }] }], 1);
  [posts, logged] = [[], []];
  global = createServer(({ method, url = "" }, response) => {
    if (method === "GET") return void response.end('{"rows": [], "next": null}');
    posts.push(url);
    response.writeHead(409, { "content-type": "application/problem+json" });
    response.end('{"code": "region-replaced", "detail": "generation 2 publishes, this is 1"}');
  });
  await new Promise<void>((resolve) => global.listen(0, "127.0.0.1", resolve));
  const address = global.address();
  api = typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
});
afterEach(() => {
  global.closeAllConnections();
  global.close();
  store.close();
  rmSync(dir, { recursive: true });
});

test("a region that was replaced says so once, as an error, and does not hammer on", { timeout: 30_000 }, async () => {
  const note = (level: string) => (_fields: unknown, what: string) => logged.push(`${level} ${what}`);
  const process = {
    nodeId: "a",
    apiUrl: "http://a",
    store,
    runtime: { agent: { hasSynced: true }, members: () => [], onEvent: () => undefined },
    log: { info: note("info"), warn: note("warn"), error: note("error") },
    credentials: undefined,
  } as unknown as AgentProcess;
  const driver = new BorderDriver({ process, globalApis: [api], holdDownMs: 0, location: undefined });
  driver.start();
  try {
    await vi.waitFor(() => expect(driver.counts.unanswered).toBeGreaterThanOrEqual(4), { timeout: 20_000 });
    expect(posts.length).toBeLessThanOrEqual(2); // The heartbeat and the row that were under way together.
    expect(logged.filter((line) => /replaced|published|arrive/.test(line))).toEqual([
      "error this region was replaced: nothing of this agent is published",
    ]);
  } finally {
    driver.stop();
  }
});
