/** An agent without seals: what is no member's is turned away by membership itself, and costs the main thread no more. */
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultAgentConfig, type RefusedInput } from "@patina/agent";
import { SqliteStore } from "@patina/store";
import { expect, test, vi } from "vitest";
import type * as Built from "./agent-runtime.js";
import { systemNow } from "./clock.js";
import { DataDir } from "./data-dir.js";
import { newDbId } from "./entropy.js";

/** Built, since its membership has a thread, which runs the built file. */
const built = new URL("../dist/agent-runtime.js", import.meta.url).href;
const { AgentRuntime } = (await import(built)) as typeof Built;
const NOISE = 100;

test(
  "a flood of noise is told of a few times a second, and every datagram of it is counted",
  { timeout: 30_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "patina-plain-"));
    const dataDir = new DataDir(join(dir, "node"), systemNow().wallMs);
    const node = dataDir.identity.nodeId;
    const schemaSql = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY);";
    const cluster = { name: "iad", generation: 1 };
    const store = new SqliteStore({ path: dataDir.databasePath, cluster, node, newDbId, schemaSql });
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const gossip = { address, advertise: address, seeds: [] };
    const runtime = await AgentRuntime.start({ dataDir, store, gossip, api: "", config: defaultAgentConfig });
    const socket = createSocket("udp4");
    try {
      const refused: RefusedInput[] = [];
      runtime.observe((input) => {
        if (input.kind === "refused") refused.push(input);
      });
      for (let i = 0; i < NOISE; i++) socket.send("noise", port, "127.0.0.1");
      await vi.waitFor(() => expect(refused.reduce((sum, { times }) => sum + times, 0)).toBe(NOISE), {
        timeout: 15_000,
      });
      expect(new Set(refused.map(({ transport, reason }) => `${transport} ${reason}`))).toEqual(
        new Set(["datagram malformed"]),
      );
      expect(refused.length).toBeLessThan(NOISE / 5);
    } finally {
      socket.close();
      await runtime.stop();
      store.close();
      dataDir.close();
      rmSync(dir, { recursive: true });
    }
  },
);

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
