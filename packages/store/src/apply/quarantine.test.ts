/** Changes put aside: listed in pages, told by table as far as they can be read, passed on, and tried again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Change, hlcFromMs, must, Ranges } from "@patina/base";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import type { QuarantineCursor } from "./quarantine.js";
import { defaultStoreLimits } from "../database/limits.js";
import { SqliteStore } from "../sqlite-store.js";

const WALL = 1_790_000_000_000;
const LOOSE = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER);";
const STRICT = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER CHECK (n < 10));";
const opened: { store: SqliteStore; dir: string }[] = [];

function node(schemaSql: string, limits = defaultStoreLimits): { store: SqliteStore; path: string } {
  const dir = mkdtempSync(join(tmpdir(), "patina-quarantine-"));
  const id = opened.length + 1;
  const names = { node: id.toString(16).padStart(32, "0"), newDbId: () => id.toString(16).padStart(16, "a") };
  const path = join(dir, "state.db");
  const store = new SqliteStore({ path, cluster: { name: "iad", generation: 1 }, ...names, schemaSql, limits });
  opened.push({ store, dir });
  return { store, path };
}

afterEach(() => {
  for (const { store, dir } of opened.splice(0)) {
    store.close();
    rmSync(dir, { recursive: true });
  }
});

function put(store: SqliteStore, id: string, n: bigint): Change {
  const outcome = must(store.commit([{ kind: "rows", rows: [{ table: "t", values: { id, n } }] }], WALL)[0], "one");
  return must(outcome.ok ? outcome.change : undefined, "a change");
}

function listed(store: SqliteStore, limit: number): number[] {
  const versions: number[] = [];
  let after: QuarantineCursor | undefined;
  do {
    const page = store.quarantined(after, limit);
    expect(page.length).toBeLessThanOrEqual(limit);
    versions.push(...page.map(({ version }) => version));
    after = page.at(-1);
  } while (after !== undefined);
  return versions;
}

describe("quarantine", () => {
  test("names the change, the reason and the tables, in pages that miss nothing", () => {
    const [writer, reader] = [node(LOOSE).store, node(STRICT).store];
    const changes = [5n, 50n, 60n, 7n, 70n].map((n, i) => put(writer, `r${i}`, n));
    const { quarantined } = reader.apply(changes);
    expect(quarantined.length).toBe(3);
    expect(reader.quarantined(undefined, 1)).toMatchObject([
      { origin: writer.origin, version: 2, reason: "CHECK constraint failed: n < 10", tables: ["t"] },
    ]);
    for (const limit of [1, 2, 3, 100]) expect(listed(reader, limit)).toEqual([2, 3, 5]);
  });

  test("tells of bytes that make no sense what they are, as far as they go", () => {
    const [writer, reader] = [node(LOOSE).store, node(LOOSE).store];
    const { body } = put(writer, "a", 1n);
    const change = (version: number, bytes: Uint8Array): Change => {
      return { origin: writer.origin, version, hlc: hlcFromMs(WALL), body: bytes };
    };
    const cut = Buffer.concat([Buffer.from([2]), body.subarray(1), Buffer.from([9])]);
    reader.apply([change(1, Buffer.from([255, 255])), change(2, cut), change(3, Buffer.alloc(0))]);
    expect(reader.quarantined(undefined, 9).map(({ tables, bytes }) => [tables, bytes])).toEqual([
      [[], 2],
      [["t"], cut.length],
      [[], 0],
    ]);
    const { changes } = reader.extract(writer.origin, Ranges.of(1, 3), 1 << 20);
    expect(changes.map((it) => Buffer.from(it.body))).toEqual([Buffer.from([255, 255]), cut, Buffer.alloc(0)]);
  });

  test("what is tried again and fails stays with its reason, and what applies is let out as if it had just come", () => {
    const [writer, good, { store: reader, path }] = [node(LOOSE).store, node(LOOSE).store, node(STRICT)];
    reader.apply([50n, 51n, 52n, 53n, 54n, 55n].map((n, i) => put(writer, `bad${i}`, n)));
    const change = put(good, "good", 1n);
    // As if it had failed for a reason that is gone: a change that is well, among those put aside.
    reader.apply([{ ...change, body: Buffer.from([255]) }]);
    const db = new Database(path);
    db.prepare("UPDATE _patina_quarantine SET body = ? WHERE body = x'ff'").run(change.body);
    db.close();
    let [applied, at]: [number, QuarantineCursor | undefined] = [0, undefined];
    const rows: string[] = [];
    do {
      const { outcome, next } = reader.retryQuarantined(at);
      applied += outcome.applied;
      rows.push(...outcome.rows.map(({ key }) => String(key[0])));
      at = next;
    } while (at !== undefined);
    expect([applied, rows, reader.quarantinedCount()]).toEqual([1, ["good"], 6]);
    expect(reader.read("SELECT id, n FROM t")).toEqual([["good", 1n]]);
    expect(listed(reader, 100)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  describe("lets out what came to nothing, so that digests are compared again", () => {
    const settled = (store: SqliteStore): number => {
      while (store.maintain(1));
      return store.quarantinedCount();
    };

    test("when every row of it was written again by others", () => {
      const [writer, reader] = [node(LOOSE).store, node(STRICT).store];
      const bad = must(
        writer.commit(
          [{ kind: "rows", rows: ["a", "b"].map((id) => ({ table: "t", values: { id, n: 99n } })) }],
          WALL,
        )[0],
        "one",
      );
      reader.apply([must(bad.ok ? bad.change : undefined, "a change")]);
      expect([settled(reader), reader.comparableDigest()]).toEqual([1, undefined]);
      reader.apply([put(writer, "a", 1n)]);
      expect([settled(reader), reader.comparableDigest()]).toEqual([1, undefined]); // The other row is still what it says.
      reader.apply([put(writer, "b", 2n)]);
      expect(settled(reader)).toBe(0);
      expect(reader.comparableDigest()).toBe(writer.comparableDigest());
      expect(reader.extract(writer.origin, Ranges.of(1, 1), 1 << 20)).toEqual({ changes: [], empty: Ranges.of(1, 1) });
    });

    test("when its row was written or deleted here", () => {
      const [writer, reader] = [node(LOOSE).store, node(STRICT).store];
      reader.apply([put(writer, "a", 1n), put(writer, "b", 1n), put(writer, "a", 99n), put(writer, "b", 99n)]);
      const own = [put(reader, "a", 3n)];
      const gone = must(
        reader.commit([{ kind: "rows", rows: [{ table: "t", values: { id: "b" }, deleted: true }] }], WALL)[0],
        "one",
      );
      own.push(must(gone.ok ? gone.change : undefined, "a change"));
      expect(settled(reader)).toBe(0);
      writer.apply(own);
      expect(writer.read("SELECT * FROM t")).toEqual([["a", 3n]]);
      expect(reader.comparableDigest()).toBe(writer.comparableDigest());
    });

    test("and keeps nothing else from being swept, however much is written meanwhile", () => {
      const [writer, reader] = [node(LOOSE).store, node(STRICT).store];
      reader.apply([put(writer, "a", 99n)]);
      const writes = 40;
      for (let n = 0; n < writes; n++) {
        const rows = Array.from({ length: 100 }, (_, i) => ({ table: "t", values: { id: `k${i}`, n: BigInt(n % 9) } }));
        expect(reader.commit([{ kind: "rows", rows }], WALL + n)[0]?.ok).toBe(true);
        reader.maintain(1000);
      }
      expect(reader.quarantinedCount()).toBe(1);
      expect(Number(reader.read("SELECT sum(count) FROM _patina_log")[0]?.[0])).toBeLessThan((writes * 100) / 2);
    });

    test("but not what is older than it, nor what nobody can read", () => {
      const [writer, older, reader] = [node(LOOSE).store, node(LOOSE).store, node(STRICT).store];
      const before = put(older, "a", 1n);
      const bad = must(
        writer.commit([{ kind: "rows", rows: [{ table: "t", values: { id: "a", n: 99n } }] }], WALL + 1000)[0],
        "one",
      );
      reader.apply([must(bad.ok ? bad.change : undefined, "a change"), before]);
      reader.apply([{ origin: writer.origin, version: 2, hlc: hlcFromMs(WALL), body: Buffer.from([255]) }]);
      expect(settled(reader)).toBe(2);
    });
  });

  test("that is full takes nothing more: what it has no room for is not held, with its origin, and comes again", () => {
    const [writer, good] = [node(LOOSE).store, node(LOOSE).store];
    const bad = [50n, 51n, 52n].map((n, i) => put(writer, `bad${i}`, n));
    const after = put(writer, "after", 1n);
    const { body } = must(bad[0], "a change");
    const { store: reader } = node(STRICT, { ...defaultStoreLimits, quarantineBytesMax: body.length * 2 });
    const outcome = reader.apply([...bad, after, put(good, "good", 2n)]);
    expect([outcome.applied, outcome.quarantined.map(({ change }) => change.version)]).toEqual([3, [1, 2, 3]]);
    expect(outcome.quarantined[2]?.reason).toContain("the quarantine may have");
    expect(reader.read("SELECT id FROM t")).toEqual([["good"]]);
    expect(reader.holdings().get(writer.origin)?.head).toBe(2);
    expect(reader.extract(writer.origin, Ranges.of(1, 4), 1 << 20).changes.map(({ version }) => version)).toEqual([
      1, 2,
    ]);
    // Trying again changes nothing, and once there is room the rest is taken as it comes.
    expect(reader.retryQuarantined(undefined).outcome.applied).toBe(0);
    expect([reader.quarantinedCount(), reader.apply([must(bad[2], "a change"), after]).applied]).toEqual([2, 0]);
    reader.apply([put(good, "bad0", 3n)]);
    while (reader.maintain(1));
    expect([reader.apply([must(bad[2], "a change"), after]).applied, reader.quarantinedCount()]).toEqual([2, 2]);
    expect(reader.holdings().get(writer.origin)).toEqual({ head: 4, gaps: Ranges.empty });
  });

  test("gives up what somebody says: it is held, says nothing, and a copy that has its rows is seen to differ", () => {
    const [writer, reader] = [node(LOOSE).store, node(STRICT).store];
    const bad = put(writer, "a", 99n);
    reader.apply([bad]);
    expect(reader.discardQuarantined({ origin: writer.origin, version: 2 })).toBe(false);
    expect(reader.discardQuarantined({ origin: "0".repeat(48), version: 1 })).toBe(false);
    expect(reader.discardQuarantined(bad)).toBe(true);
    expect([reader.quarantinedCount(), reader.apply([bad]).applied]).toEqual([0, 0]);
    expect(reader.extract(writer.origin, Ranges.of(1, 1), 1 << 20)).toEqual({ changes: [], empty: Ranges.of(1, 1) });
    expect(reader.comparableDigest()).toEqual(expect.any(String));
    expect(reader.comparableDigest()).not.toBe(writer.comparableDigest());
  });
});
