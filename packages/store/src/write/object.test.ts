/** Whole objects: read with their version tag, and written on condition of it, inside the transaction that writes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, type RowCondition, type RowWrite, type SqlValue, type Write, type WriteOutcome } from "@patina/base";
import { afterEach, describe, expect, test } from "vitest";
import { SqliteStore } from "../sqlite-store.js";

const WALL = 1_790_000_000_000;
const SCHEMA = `
  CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT DEFAULT 'd', n INTEGER);
  CREATE TABLE pairs (x INTEGER NOT NULL, y TEXT NOT NULL, v REAL, w REAL AS (v * 2), PRIMARY KEY (y, x));`;
const opened: { store: SqliteStore; dir: string }[] = [];

function node(): SqliteStore {
  const dir = mkdtempSync(join(tmpdir(), "patina-object-"));
  const id = opened.length + 1;
  const names = { node: id.toString(16).padStart(32, "0"), newDbId: () => id.toString(16).padStart(16, "a") };
  const path = join(dir, "state.db");
  const store = new SqliteStore({ path, cluster: { name: "iad", generation: 1 }, ...names, schemaSql: SCHEMA });
  opened.push({ store, dir });
  return store;
}

afterEach(() => {
  for (const { store, dir } of opened.splice(0)) {
    store.close();
    rmSync(dir, { recursive: true });
  }
});

function write(store: SqliteStore, ...rows: Partial<RowWrite>[]): WriteOutcome {
  const full = rows.map((row): RowWrite => ({ table: "t", values: {}, ...row }));
  return must(store.commit([{ kind: "rows", rows: full }], WALL)[0], "an outcome");
}

const put = (store: SqliteStore, id: string, n: bigint, condition?: RowCondition): WriteOutcome =>
  write(store, { values: { id, n }, ...(condition && { condition }) });
const drop = (store: SqliteStore, id: string, condition: RowCondition): WriteOutcome =>
  write(store, { values: { id }, deleted: true, condition });
const tagOf = (outcome: WriteOutcome): string => must(outcome.ok ? outcome.tag : undefined, "a tag");
const codeOf = (outcome: WriteOutcome): string => (outcome.ok ? "ok" : outcome.error.code);
const at = (...tags: string[]): RowCondition => ({ kind: "at", tags });
const valueOf = (store: SqliteStore, id: string): SqlValue | undefined => store.readObject("t", { id })?.values["n"];

describe("a version tag", () => {
  test("changes with every change of the object, and with nothing else", () => {
    const store = node();
    const first = tagOf(put(store, "a", 1n));
    expect(tagOf(put(store, "a", 1n))).toBe(first);
    put(store, "b", 1n);
    expect(store.readObject("t", { id: "a" })?.tag).toBe(first);
    const second = tagOf(put(store, "a", 2n));
    expect(second).not.toBe(first);
    expect(tagOf(put(store, "a", 1n))).not.toBe(first);
  });

  test("is the same on every node that has the same state", () => {
    const [here, there] = [node(), node()];
    const outcome = put(here, "a", 1n);
    there.apply([must(outcome.ok ? outcome.change : undefined, "a change")]);
    expect(there.readObject("t", { id: "a" })?.tag).toBe(tagOf(outcome));
    const back = put(there, "a", 2n, at(tagOf(outcome)));
    expect(codeOf(back)).toBe("ok");
    expect(tagOf(back).startsWith(there.origin)).toBe(true);
  });

  test("is not given for a deleted object, nor for several", () => {
    const store = node();
    const both = write(store, { values: { id: "a" } }, { values: { id: "b" } });
    expect(both).not.toHaveProperty("tag");
    expect(drop(store, "a", { kind: "exists" })).not.toHaveProperty("tag");
  });
});

describe("a condition", () => {
  test("on a tag holds for that version alone, deletes included", () => {
    const store = node();
    const old = tagOf(put(store, "a", 1n));
    const now = tagOf(put(store, "a", 2n, at(old)));
    const refused = put(store, "a", 3n, at(old));
    expect(refused).toMatchObject({ ok: false, error: { code: "version-mismatch", details: { tag: now } } });
    expect(codeOf(drop(store, "a", at(old)))).toBe("version-mismatch");
    expect(valueOf(store, "a")).toBe(2n);
    expect(codeOf(put(store, "a", 3n, at("x:1", now)))).toBe("ok");
    expect(codeOf(drop(store, "a", at(must(store.readObject("t", { id: "a" })?.tag, "a tag"))))).toBe("ok");
    expect(codeOf(put(store, "a", 4n, at(now)))).toBe("version-mismatch");
  });

  test("that the object exists, or does not, is judged by what is there, not by what was", () => {
    const store = node();
    expect(codeOf(put(store, "a", 1n, { kind: "exists" }))).toBe("version-mismatch");
    expect(codeOf(put(store, "a", 1n, { kind: "absent" }))).toBe("ok");
    expect(codeOf(put(store, "a", 1n, { kind: "absent" }))).toBe("version-mismatch");
    expect(codeOf(drop(store, "a", { kind: "exists" }))).toBe("ok");
    expect(codeOf(put(store, "a", 2n, { kind: "absent" }))).toBe("ok");
  });

  test("is kept by each of several writes of one object, each after the one before it", () => {
    const store = node();
    const tag = tagOf(put(store, "a", 0n));
    const [absent, exists] = [{ kind: "absent" }, { kind: "exists" }] as const;
    const several = (id: string, ...writes: [n: bigint | "delete", condition?: RowCondition][]): string => {
      const rows = writes.map(([n, condition]): Partial<RowWrite> => {
        const what = n === "delete" ? { values: { id }, deleted: true } : { values: { id, n } };
        return { ...what, ...(condition && { condition }) };
      });
      return codeOf(write(store, ...rows));
    };
    const mismatch = "version-mismatch";
    expect(several("a", [1n, at("x:1")], [2n])).toBe(mismatch); // It is the later that counts, and the earlier that fails.
    expect(several("a", [1n, absent], [2n, exists])).toBe(mismatch);
    expect(several("a", [1n, at(tag)], [2n, at(tag)])).toBe(mismatch); // The first has made it another version.
    expect(several("a", ["delete", exists], [1n, exists])).toBe(mismatch);
    expect(several("b", [1n, absent], [2n, absent])).toBe(mismatch);
    expect([valueOf(store, "a"), valueOf(store, "b")]).toEqual([0n, undefined]);
    expect(several("a", [1n, at(tag)], [2n], [3n, exists])).toBe("ok");
    expect(several("b", [1n, absent], [2n, exists])).toBe("ok");
    expect([valueOf(store, "a"), valueOf(store, "b")]).toEqual([3n, 2n]);
    expect(several("a", ["delete", exists], [4n, absent])).toBe("ok");
    expect(valueOf(store, "a")).toBe(4n);
  });

  test("is kept by a write, too, that an older stamp makes lose to another of the same object", () => {
    const store = node();
    const stamped = (hlc: bigint, n: bigint, condition?: RowCondition): Partial<RowWrite> => {
      return { values: { id: "a", n }, stamp: { epoch: 1, hlc }, ...(condition && { condition }) };
    };
    expect(codeOf(write(store, stamped(9n, 1n), stamped(5n, 2n, { kind: "absent" })))).toBe("version-mismatch");
    expect(codeOf(write(store, stamped(9n, 1n), stamped(5n, 2n, { kind: "exists" })))).toBe("ok");
    expect(valueOf(store, "a")).toBe(1n);
  });

  test("sees the writes that came before it in the same commit", () => {
    const store = node();
    const tag = tagOf(put(store, "a", 0n));
    const row = (n: bigint): Write => ({
      kind: "rows",
      rows: [{ table: "t", values: { id: "a", n }, condition: at(tag) }],
    });
    const sql: Write = { kind: "statements", statements: [{ sql: "UPDATE t SET n = 9", params: [] }] };
    expect(store.commit([row(1n), row(2n), row(3n)], WALL).map(codeOf)).toEqual([
      "ok",
      "version-mismatch",
      "version-mismatch",
    ]);
    expect(valueOf(store, "a")).toBe(1n);
    const next = tagOf(put(store, "b", 0n));
    const b: Write = { kind: "rows", rows: [{ table: "t", values: { id: "b", n: 1n }, condition: at(next) }] };
    expect(store.commit([sql, b], WALL).map(codeOf)).toEqual(["ok", "version-mismatch"]);
    expect(valueOf(store, "b")).toBe(9n);
  });

  test("that does not hold for one object undoes the others of its transaction and makes no version", () => {
    const store = node();
    put(store, "a", 1n);
    const before = store.holdings().get(store.origin)?.head;
    const condition: RowCondition = { kind: "absent" };
    const both = write(store, { values: { id: "b" }, condition }, { values: { id: "a" }, condition });
    expect(codeOf(both)).toBe("version-mismatch");
    expect(store.readObject("t", { id: "b" })).toBeUndefined();
    expect(store.holdings().get(store.origin)?.head).toBe(before);
  });
});

describe("reading an object", () => {
  test("finds it by its key in any spelling the columns take, with all that can be written of it", () => {
    const store = node();
    write(store, { table: "pairs", values: { x: 5n, y: "k", v: 1.5 } });
    expect(store.readObject("pairs", { y: "k", x: "5" })?.values).toEqual({ x: 5n, y: "k", v: 1.5 });
    expect(store.readObject("pairs", { y: "k", x: "6" })).toBeUndefined();
  });

  test.each([
    ["no such table", "nix", { id: "a" }, "table-unknown"],
    ["part of the key", "pairs", { x: "5" }, "bad-request"],
    ["a column beside the key", "t", { id: "a", n: "1" }, "bad-request"],
    ["a name that every object has", "t", { constructor: "a" }, "bad-request"],
  ])("with %s is refused", (_what, table, key, code) => {
    const read = (): unknown => node().readObject(table, key);
    expect(read).toThrow(expect.objectContaining({ code }) as Error);
  });
});
