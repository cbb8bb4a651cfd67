/** What a node begins from: never from what is so old that rows come back which the others have deleted and forgotten. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, type ErrorCode, must, parseHoldings, type Write } from "@patina/base";
import { type Manifest, MemoryObjectStore, type ObjectStore, openGeneration, takeCheckpoint } from "@patina/checkpoint";
import { SqliteStore, takeImage } from "@patina/store";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { floorOf } from "./adopt-chain.js";
import { prepareDataDir } from "./starting.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY);";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 10, 24);

let dir: string;
let nowMs: number;
let databases: number;
let objects: MemoryObjectStore;
let said: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-starting-"));
  [nowMs, databases, said] = [START, 0, []];
  objects = new MemoryObjectStore("starting", () => nowMs);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const dirOf = (node: string): string => join(dir, node);
const databaseOf = (node: string): string => join(dirOf(node), "state.db");
const put = (id: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id } }] });
const remove = (id: string): Write => ({
  kind: "statements",
  statements: [{ sql: "DELETE FROM t WHERE id = ?", params: [id] }],
});

/** Opens a node's database, writes, and closes it again. Answers the ids that it holds then. */
function write(node: string, generation: number, ...writes: Write[]): string[] {
  mkdirSync(dirOf(node), { recursive: true });
  const store = new SqliteStore({
    path: databaseOf(node),
    cluster: { name: "iad", generation },
    node: Buffer.from(node).toString("hex").padStart(32, "0"),
    newDbId: () => (++databases).toString(16).padStart(16, "d"),
    schemaSql: SCHEMA,
  });
  try {
    for (const each of writes) {
      const [outcome] = store.commit([each], nowMs);
      if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
    }
    return store.read("SELECT id FROM t ORDER BY id").map(([id]) => String(id));
  } finally {
    store.close();
  }
}

async function checkpointOf(node: string, takenAtMs = nowMs): Promise<Manifest> {
  const path = join(dir, `image-${takenAtMs}`);
  const { holdings, hlc, ...facts } = takeImage(databaseOf(node), path);
  const origin = must(Object.keys(holdings)[0], "an origin");
  return takeCheckpoint({
    objects,
    cluster: "iad",
    path,
    facts: {
      ...facts,
      level: "base",
      parent: null,
      takenAtMs,
      by: { node: origin.slice(0, 32), origin },
      app: "test",
      holdings: parseHoldings(holdings),
      hlc: BigInt(hlc),
    },
  });
}

async function open(generation: number, manifest: Manifest | undefined): Promise<void> {
  const floor = String(manifest === undefined ? 0n : floorOf(manifest, nowMs));
  const facts = { generation, parent: generation - 1, reason: "rollback", atMs: nowMs, by: "test", floor };
  await openGeneration(objects, "iad", { ...facts, manifestId: manifest?.id });
}

const start = async (node: string, more: { bootstrap?: boolean; store?: ObjectStore } = {}): Promise<number> =>
  prepareDataDir({
    objects: more.store ?? objects,
    cluster: "iad",
    nodeDir: dirOf(node),
    bootstrap: more.bootstrap ?? true,
    say: (message) => void said.push(message),
  });

const beside = (node: string): string[] => readdirSync(dir).filter((name) => name.startsWith(`${node}.`));

/** Two nodes with `a` and `b`; the straggler has `late` besides, and the region was rolled back to before that. */
async function rolledBack(): Promise<void> {
  write("live", 1, put("a"), put("b"));
  const manifest = await checkpointOf("live");
  write("straggler", 1, put("a"), put("b"), put("late"));
  writeFileSync(join(dirOf("straggler"), "node.json"), "its own");
  nowMs += HOUR;
  await open(2, manifest);
  expect(await start("live")).toBe(2);
  expect(write("live", 2)).toEqual(["a", "b"]);
}

describe("a straggler of a generation that is over", () => {
  beforeEach(rolledBack);

  const salvaged = (): string => {
    const [quarantine] = beside("straggler");
    return readFileSync(join(dir, must(quarantine, "a quarantine"), "salvage.ndjson"), "utf8");
  };

  test("begins with what the generation began with, while its deletions are remembered", async () => {
    nowMs += HOUR / 2;
    expect(await start("straggler")).toBe(2);
    expect(write("straggler", 2)).toEqual(["a", "b"]);
    expect(salvaged()).toContain("late");
    expect(readFileSync(join(dirOf("straggler"), "node.json"), "utf8")).toBe("its own");
  });

  test("begins days later from the newest checkpoint, in which what was deleted since is gone", async () => {
    nowMs += 3 * DAY;
    write("live", 2, remove("b"), put("c"));
    await checkpointOf("live");
    nowMs += HOUR / 2;
    expect(await start("straggler")).toBe(2);
    expect(write("straggler", 2)).toEqual(["a", "c"]);
    expect(salvaged()).toContain("late");
  });

  test.each([{ bootstrap: true }, { bootstrap: false }])(
    "begins empty where there is none that is fresh enough, or it may take none: $bootstrap",
    async ({ bootstrap }) => {
      nowMs += DAY;
      await checkpointOf("live");
      nowMs += bootstrap ? DAY : 0;
      expect(await start("straggler", { bootstrap })).toBe(2);
      expect(readdirSync(dirOf("straggler"))).toEqual(["node.json"]);
      expect(salvaged()).toContain("late");
    },
  );

  test("begins with what the generation began with, however long ago, if nobody has begun it", async () => {
    nowMs += 30 * DAY;
    expect(await start("straggler")).toBe(2);
    expect(write("straggler", 2)).toEqual(["a", "b"]);
  });
});

describe("a node without data", () => {
  test("begins from a fresh checkpoint, and not from one that is old or dated ahead", async () => {
    write("live", 1, put("a"));
    await checkpointOf("live");
    await start("fresh");
    expect(write("fresh", 1)).toEqual(["a"]);
    nowMs += 2 * HOUR;
    await start("old");
    await checkpointOf("live", nowMs + 30 * DAY);
    await start("ahead");
    expect([existsSync(databaseOf("old")), existsSync(databaseOf("ahead"))]).toEqual([false, false]);
  });

  test.each<{ code: ErrorCode; starts: boolean }>([
    { code: "object-store-unreachable", starts: true },
    { code: "sealing-key-wrong", starts: false },
    { code: "checkpoint-forged", starts: false },
    { code: "disk-full", starts: false },
  ])("starts empty when the store is out of reach, and not when a person must act: $code", async ({ code, starts }) => {
    write("live", 1, put("a"));
    await checkpointOf("live");
    const store = new Proxy<ObjectStore>(objects, {
      get: (target, name: keyof ObjectStore) => {
        if (name === "get") throw new AppError(code, "no");
        const found = target[name];
        return typeof found === "function" ? found.bind(target) : found;
      },
    });
    if (starts) expect(await start("lost", { store })).toBe(1);
    else await expect(start("lost", { store })).rejects.toMatchObject({ code });
    expect(said.some((message) => message.includes("starts empty"))).toBe(starts);
  });
});

test("what was rolled back and is rolled back again before it starts begins with the last one", async () => {
  await rolledBack();
  write("live", 2, put("poison"));
  nowMs += HOUR;
  await open(3, undefined);
  expect(await start("straggler")).toBe(3);
  expect(await start("live")).toBe(3);
  expect([existsSync(databaseOf("straggler")), existsSync(databaseOf("live"))]).toEqual([false, false]);
});
