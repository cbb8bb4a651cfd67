/** Whose row it is: who may write it, how it changes hands, and who is told when two wrote where one may. */
import { type Change, type Handoff, heldVersions, must, type OwnershipConflict, type RowWrite, type SqlValue, type Write, type WriteOutcome } from "@patina/base"; // prettier-ignore
import { afterEach, describe, expect, test } from "vitest";
import { adoptImage } from "../adopt-image.js";
import { takeImage } from "../database/image.js";
import { defaultStoreLimits, type StoreLimits } from "../database/limits.js";
import { decodeBody } from "../rows/row-codec.js";
import type { SqliteStore } from "../sqlite-store.js";
import { dbIdOf, openStore, Scratch, scrubbed } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const SCHEMA = `
-- @app app
-- @owner worker
CREATE TABLE machines (id TEXT NOT NULL PRIMARY KEY, app TEXT NOT NULL DEFAULT '', worker TEXT, n INTEGER NOT NULL DEFAULT 0);
-- @owner worker
CREATE TABLE pairs (a INTEGER NOT NULL, b TEXT NOT NULL, worker TEXT NOT NULL DEFAULT '', PRIMARY KEY (a, b));
CREATE TABLE free (id TEXT NOT NULL PRIMARY KEY, worker TEXT);
`;
const scratch = new Scratch("owner");
const opened = new Map<SqliteStore, { path: string; index: number }>();

/** A store that writes for the worker of that letter. */
function storeOf(worker: string, path = scratch.newPath(), schemaSql = SCHEMA, db = 0): SqliteStore {
  const index = worker.charCodeAt(0);
  const store = openStore(path, index, schemaSql, { worker, newDbId: () => dbIdOf(index * 100 + db) });
  opened.set(store, { path, index });
  return store;
}

function reopened(store: SqliteStore, schemaSql = SCHEMA): SqliteStore {
  const { path } = must(opened.get(store), "an open store");
  const { worker } = store.owners.self;
  store.close();
  opened.delete(store);
  return storeOf(worker, path, schemaSql);
}

afterEach(() => {
  for (const store of opened.keys()) store.close();
  const clean = [...opened.values()].map(({ path }) => scrubbed(path)).join("");
  opened.clear();
  if (clean !== "") throw new Error(`scrub found ${clean}`);
});

const limited = (contestsMax: number): StoreLimits => ({ ...defaultStoreLimits, contestsMax });
let wall = WALL;
const commit = (store: SqliteStore, write: Write): WriteOutcome => must(store.commit([write], (wall += 10))[0], "an outcome"); // prettier-ignore
const put = (store: SqliteStore, values: RowWrite["values"], more: Partial<RowWrite> = {}): WriteOutcome =>
  commit(store, { kind: "rows", rows: [{ table: "machines", values, ...more }] });
const drop = (store: SqliteStore, id: string): WriteOutcome => put(store, { id }, { deleted: true });
const sql = (store: SqliteStore, text: string, ...params: SqlValue[]): WriteOutcome =>
  commit(store, { kind: "statements", statements: [{ sql: text, params }] });
const handOver = (store: SqliteStore, id: string, to: string): WriteOutcome =>
  commit(store, { kind: "handoffs", handoffs: [{ table: "machines", key: [id], to }] });
const claim = (store: SqliteStore, id: string): WriteOutcome =>
  commit(store, { kind: "handoffs", handoffs: [{ table: "machines", key: { id }, to: undefined }] });

const codeOf = (it: WriteOutcome): string => (it.ok ? "ok" : it.error.code);
function changeOf(outcome: WriteOutcome): Change {
  if (!outcome.ok) throw outcome.error;
  return must(outcome.change, "a change");
}
const epochOf = (change: Change): number => must(decodeBody(change.body, change.hlc, 9)[0], "a row").epoch;
const row = (store: SqliteStore, id: string): SqlValue[] | undefined => store.read("SELECT worker, n FROM machines WHERE id = ?", [id])[0]; // prettier-ignore

/** Everything `from` holds and `to` lacks, as it is read back from rows. */
function pull(to: SqliteStore, from: SqliteStore): readonly OwnershipConflict[] {
  const found: OwnershipConflict[] = [];
  for (const [origin, holding] of from.holdings()) {
    const { changes, empty } = from.extract(origin, heldVersions(holding), 1 << 30);
    found.push(...to.apply(changes, [{ origin, versions: empty }], from.basis()).conflicts);
  }
  return found;
}
function expectEqual(...stores: SqliteStore[]): void {
  for (const a of stores) for (const b of stores) if (a !== b) pull(a, b);
  expect(new Set(stores.map((store) => store.digest())).size).toBe(1);
}

describe("a local write", () => {
  test("of a row of another worker's is refused as a whole, with table, key and owner", () => {
    const [a, b] = [storeOf("a"), storeOf("b")];
    put(a, { id: "m", worker: "a", n: 1n });
    pull(b, a);
    const digest = b.digest();
    const writes: Write[] = [
      { kind: "rows", rows: [{ table: "machines", values: { id: "mine", worker: "b" } }, { table: "machines", values: { id: "m", worker: "b" } }] }, // prettier-ignore
      { kind: "rows", rows: [{ table: "machines", values: { id: "m" }, deleted: true }] },
      { kind: "statements", statements: [{ sql: "UPDATE machines SET n = 2", params: [] }] },
      { kind: "statements", statements: [{ sql: "UPDATE machines SET worker = 'b'", params: [] }] },
      { kind: "statements", statements: [{ sql: "UPDATE machines SET worker = 'b', n = 3", params: [] }, { sql: "UPDATE machines SET worker = 'a'", params: [] }] }, // prettier-ignore
      { kind: "statements", statements: [{ sql: "UPDATE machines SET worker = 'b'", params: [] }, { sql: "DELETE FROM machines", params: [] }] }, // prettier-ignore
      { kind: "statements", statements: [{ sql: "DELETE FROM machines", params: [] }] },
      { kind: "statements", statements: [{ sql: "REPLACE INTO machines (id, worker) VALUES ('m', 'b')", params: [] }] },
      { kind: "statements", statements: [{ sql: "UPDATE machines SET id = 'other'", params: [] }] },
      { kind: "handoffs", handoffs: [{ table: "machines", key: ["m"], to: "b" }] },
    ];
    for (const write of writes) expect(codeOf(commit(b, write))).toBe("not-owner");
    const refused = put(b, { id: "m", worker: "b" });
    if (refused.ok) throw new Error("it was taken");
    expect(refused.error).toMatchObject({ details: { table: "machines", key: '"m"', owner: "a" } });
    expect(b.digest()).toBe(digest);
    expect(row(b, "mine")).toBeUndefined();
  });

  test("that puts a row there for another worker is refused; for itself and for nobody it is not", () => {
    const a = storeOf("a");
    expect(codeOf(put(a, { id: "x", worker: "b" }))).toBe("not-owner");
    expect(codeOf(sql(a, "INSERT INTO machines (id, worker) VALUES ('x', 'b')"))).toBe("not-owner");
    expect(codeOf(put(a, { id: "x", worker: "a" }))).toBe("ok");
    expect(codeOf(sql(a, "INSERT INTO machines (id, worker) VALUES ('y', ''), ('z', NULL)"))).toBe("ok");
  });

  test("of a table without owners is as it always was, and a stamp of its own orders no owned row", () => {
    const a = storeOf("a");
    sql(a, "INSERT INTO free VALUES ('x', 'b')");
    const moved = changeOf(sql(a, "UPDATE free SET worker = 'c'"));
    expect(epochOf(moved)).toBe(0);
    expect(codeOf(put(a, { id: "x" }, { stamp: { epoch: 5, hlc: 1n } }))).toBe("bad-request");
  });

  test("that leaves another's row as it is does nothing, and is not refused", () => {
    const [a, b] = [storeOf("a"), storeOf("b")];
    put(a, { id: "m", worker: "a", n: 1n });
    pull(b, a);
    const same = sql(b, "UPDATE machines SET n = n, worker = worker");
    expect(same).toMatchObject({ ok: true, change: undefined });
  });

  test("after a hand-over in the same group of writes is judged by what the group left", () => {
    const a = storeOf("a");
    put(a, { id: "m", worker: "a" });
    const give: Write = { kind: "statements", statements: [{ sql: "UPDATE machines SET worker = 'b'", params: [] }] };
    const late: Write = { kind: "statements", statements: [{ sql: "UPDATE machines SET n = 9", params: [] }] };
    expect(a.commit([give, late], wall).map(codeOf)).toEqual(["ok", "not-owner"]);
    expect(row(a, "m")).toEqual(["b", 0n]);
  });
});

describe("a change of hands", () => {
  test("is an epoch, whichever way the owner column changes; an ordinary write is none", () => {
    const a = storeOf("a");
    expect(epochOf(changeOf(put(a, { id: "m", worker: "a" })))).toBe(0);
    expect(epochOf(changeOf(sql(a, "UPDATE machines SET n = 1")))).toBe(0);
    expect(epochOf(changeOf(sql(a, "UPDATE machines SET worker = NULL")))).toBe(1);
    expect(epochOf(changeOf(sql(a, "UPDATE machines SET n = 2")))).toBe(1);
    expect(epochOf(changeOf(put(a, { id: "m", worker: "a", n: 2n })))).toBe(2);
    expect(epochOf(changeOf(handOver(a, "m", "b")))).toBe(3);
    expect(codeOf(sql(a, "UPDATE machines SET n = 4"))).toBe("not-owner");
    expect(codeOf(handOver(a, "m", "c"))).toBe("not-owner");
    expect(epochOf(changeOf(claim(a, "m")))).toBe(4);
    expect(claim(a, "m")).toMatchObject({ ok: true, change: undefined });
    expect(handOver(a, "m", "a")).toMatchObject({ ok: true, change: undefined });
  });

  test("beats what the old owner still writes, whatever the clocks say, and tells it", () => {
    const [a, b, c] = [storeOf("a"), storeOf("b"), storeOf("c")];
    put(a, { id: "m", worker: "a", n: 1n });
    pull(b, a);
    pull(c, a);
    const taken = changeOf(claim(b, "m"));
    wall += 3_600_000;
    const late = changeOf(put(a, { id: "m", worker: "a", n: 66n }));
    expect(c.apply([late]).conflicts).toEqual([]);
    const fenced = { kind: "fenced", table: "machines", key: ["m"], origin: a.origin, version: 2, owner: "b", epoch: 1 }; // prettier-ignore
    expect(c.apply([taken]).conflicts).toEqual([{ ...fenced, isOurs: false }]);
    expect(b.apply([late]).conflicts).toEqual([{ ...fenced, isOurs: false }]);
    expect(a.apply([taken]).conflicts).toEqual([{ ...fenced, isOurs: true }]);
    for (const store of [a, b, c]) expect(row(store, "m")).toEqual(["b", 1n]);
    expect(reopened(a).owners.conflicts().fenced).toEqual([{ ...fenced, isOurs: true }]);
    expect(b.owners.conflicts().fenced).toEqual([]);
    expectEqual(b, c);
  });

  test("does not call fenced what the new owner had seen, in whatever order it arrives", () => {
    const [a, b, c] = [storeOf("a"), storeOf("b"), storeOf("c")];
    const writes = [1n, 2n, 3n].map((n) => changeOf(put(a, { id: "m", worker: "a", n })));
    pull(b, a);
    const taken = changeOf(claim(b, "m"));
    expect(c.apply([taken, ...writes.toReversed()]).conflicts).toEqual([]);
    expect(a.apply([taken]).conflicts).toEqual([]);
    expect(row(c, "m")).toEqual(["b", 3n]);
  });

  test("keeps its cut through later writes, read-back, restart, deletion and images", () => {
    const [a, b, c, d] = [storeOf("a"), storeOf("b"), storeOf("c"), storeOf("d")];
    put(a, { id: "m", worker: "a", n: 1n });
    pull(b, a);
    claim(b, "m");
    put(b, { id: "m", worker: "b", n: 2n });
    const late = changeOf(put(a, { id: "m", worker: "a", n: 66n }));
    pull(c, reopened(b));
    const image = scratch.newPath();
    const facts = takeImage(must(opened.get(c), "c").path, image);
    adoptImage(image, { cluster: "iad", digest: facts.digest, generation: 1 });
    pull(d, storeOf("e", image));
    expect(d.apply([late]).conflicts).toMatchObject([{ kind: "fenced", owner: "b" }]);
    const [gone] = [...opened.keys()].filter((store) => store.owners.self.worker === "b");
    drop(must(gone, "b"), "m");
    expect(pull(a, must(gone, "b"))).toMatchObject([{ kind: "fenced", owner: "b", isOurs: true }]);
    expect(row(a, "m")).toBeUndefined();
  });

  test("reaches a worker that slept through two of them", () => {
    const [a, b, c] = [storeOf("a"), storeOf("b"), storeOf("c")];
    put(a, { id: "m", worker: "a", n: 1n });
    pull(b, a);
    put(a, { id: "m", worker: "a", n: 66n });
    claim(b, "m");
    pull(c, b);
    claim(c, "m");
    expect(pull(a, c)).toMatchObject([{ kind: "fenced", owner: "c", epoch: 2, isOurs: true }]);
  });

  test("of many rows is one transaction; a row that is not there or a key that is none fails it", () => {
    const a = storeOf("a");
    sql(a, "INSERT INTO pairs VALUES (1, 'x', 'a'), (2, 'y', 'a')");
    const all = [{ table: "pairs", key: [1n, "x"], to: "b" }, { table: "pairs", key: { b: "y", a: "2" }, to: "b" }]; // prettier-ignore
    const ask = (...handoffs: Handoff[]): string => codeOf(commit(a, { kind: "handoffs", handoffs }));
    expect(ask(...all, { table: "pairs", key: [3n, "z"], to: "b" })).toBe("row-absent");
    for (const key of [[1n], [1n, "x", "y"], { a: 1n }, { a: 1n, c: "x" }, [1n, null]]) {
      expect(ask({ table: "pairs", key: key as SqlValue[], to: "b" })).toBe("bad-request");
    }
    expect(ask(must(all[0], "one"), must(all[0], "one"))).toBe("bad-request");
    expect(ask({ table: "free", key: ["x"], to: "b" })).toBe("bad-request");
    expect(ask({ table: "nothing", key: ["x"], to: "b" })).toBe("table-unknown");
    expect(ask(...all)).toBe("ok");
    expect(a.read("SELECT worker FROM pairs")).toEqual([["b"], ["b"]]);
  });

  test("what nobody has is taken, not given away", () => {
    const a = storeOf("a");
    put(a, { id: "m" });
    expect(codeOf(handOver(a, "m", "b"))).toBe("not-owner");
    expect(codeOf(sql(a, "UPDATE machines SET worker = 'b'"))).toBe("not-owner");
    expect(epochOf(changeOf(claim(a, "m")))).toBe(1);
  });
});

describe("a deleted row", () => {
  test("comes back in its epoch for the worker that had it, and in a new one for any other", () => {
    const [a, b] = [storeOf("a"), storeOf("b")];
    put(a, { id: "m", worker: "a" });
    drop(a, "m");
    pull(b, a);
    expect(epochOf(changeOf(put(a, { id: "m", worker: "a", n: 1n })))).toBe(0);
    const theirs = changeOf(sql(b, "INSERT INTO machines (id, worker) VALUES ('m', 'b')"));
    expect(epochOf(theirs)).toBe(1);
    expect(a.apply([theirs]).conflicts).toMatchObject([{ kind: "fenced", owner: "b", isOurs: true }]);
    expectEqual(a, b);
    expect(row(a, "m")).toEqual(["b", 0n]);
  });
});

describe("a forgotten tombstone", () => {
  test("takes its mark along, and stays while the row has changed hands: peers may still have it", () => {
    const a = storeOf("a");
    put(a, { id: "kept", worker: "a" });
    put(a, { id: "gone", worker: "a" });
    handOver(a, "kept", "b");
    claim(a, "kept");
    drop(a, "kept");
    drop(a, "gone");
    a.noteStable(new Map([[a.origin, 99]]), BigInt(wall + 1000) << 16n);
    while (a.maintain(100)) continue;
    const tombs = a.read("SELECT _patina_tombstones.key = _patina_marks.key FROM _patina_tombstones, _patina_marks");
    expect(tombs).toEqual([[1n]]);
    expect(epochOf(changeOf(put(a, { id: "gone", worker: "a" })))).toBe(0);
    expect(epochOf(changeOf(put(a, { id: "kept", worker: "a" })))).toBe(2);
  });
});

describe("two owners of one epoch", () => {
  test("are found by all who see both, resolve by stamp, and the loser is told", () => {
    const [a, b, c] = [storeOf("a"), storeOf("b"), storeOf("c")];
    put(a, { id: "m", worker: "a" });
    pull(b, a);
    pull(c, a);
    const first = changeOf(claim(b, "m"));
    const second = changeOf(claim(c, "m"));
    const doubt = { kind: "doubtful", table: "machines", key: ["m"], epoch: 1, owner: "c", other: "b" } as const;
    expect(b.apply([second]).conflicts).toMatchObject([doubt, { kind: "fenced", version: 1, isOurs: true, owner: "c" }]); // prettier-ignore
    expect(c.apply([first]).conflicts).toEqual([doubt]);
    expect(a.apply([second, first]).conflicts).toEqual([doubt]);
    for (const store of [a, b, c]) {
      expect(row(store, "m")).toEqual(["c", 0n]);
      expect(store.owners.conflicts().doubtful).toEqual([doubt]);
      expect(store.owners.doubtfulCount()).toBe(1);
    }
    // The winner takes it once more, and the doubt is over everywhere.
    expect(epochOf(changeOf(claim(c, "m")))).toBe(2);
    expectEqual(a, b, c);
    for (const store of [a, b, c]) expect(store.owners.conflicts().doubtful).toEqual([]);
  });

  test("a take-over and the old owner's release are two as well", () => {
    const [a, b] = [storeOf("a"), storeOf("b")];
    put(a, { id: "m", worker: "a" });
    pull(b, a);
    claim(b, "m");
    sql(a, "UPDATE machines SET worker = NULL");
    expect(pull(b, a)).toMatchObject([{ kind: "doubtful", owner: undefined, other: "b" }, { kind: "fenced", isOurs: true }]); // prettier-ignore
  });
});

describe("records", () => {
  test("are bounded: the oldest go", () => {
    const [a, b] = [openStore(scratch.newPath(), 1, SCHEMA, { worker: "a", limits: limited(3) }), storeOf("b")];
    for (let i = 0; i < 5; i++) put(a, { id: `m${i}`, worker: "a" });
    for (let i = 0; i < 5; i++) put(b, { id: `m${i}`, worker: "b" });
    pull(a, b);
    const { doubtful, fenced } = a.owners.conflicts();
    expect(doubtful.map(({ key }) => key[0])).toEqual(["m2", "m3", "m4"]);
    expect(fenced.map(({ key }) => key[0])).toEqual(["m2", "m3", "m4"]);
    a.close();
  });
});

describe("a schema", () => {
  test("that brings owners later finds its rows nobody's, or whose their column says", () => {
    const without = SCHEMA.replaceAll("-- @owner worker", "");
    const path = scratch.newPath();
    const plain = storeOf("a", path, without);
    sql(plain, "INSERT INTO machines (id, worker) VALUES ('mine', 'a'), ('theirs', 'b'), ('free', NULL)");
    sql(plain, "UPDATE machines SET worker = 'c' WHERE id = 'theirs'");
    const owned = reopened(plain);
    expect(codeOf(sql(owned, "UPDATE machines SET n = 1 WHERE id <> 'theirs'"))).toBe("ok");
    expect(codeOf(sql(owned, "UPDATE machines SET n = 1 WHERE id = 'theirs'"))).toBe("not-owner");
    handOver(owned, "mine", "b");
    const again = reopened(owned, without);
    expect(epochOf(changeOf(sql(again, "UPDATE machines SET n = 2 WHERE id = 'mine'")))).toBe(1);
  });

  test("that a member lacks costs no cut: it is passed on with the row", () => {
    const [a, b, d] = [storeOf("a"), storeOf("b"), storeOf("d")];
    const bare = storeOf("c", scratch.newPath(), "CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY);");
    put(a, { id: "m", worker: "a" });
    pull(b, a);
    claim(b, "m");
    pull(bare, b);
    pull(d, bare);
    const late = changeOf(put(a, { id: "m", worker: "a", n: 66n }));
    expect(bare.apply([late]).conflicts).toMatchObject([{ kind: "fenced" }]);
    expect(d.apply([late]).conflicts).toMatchObject([{ kind: "fenced", owner: "b" }]);
  });
});

describe("what tells that a row is another's", () => {
  test("survives a row that moves to another key, and one that is replaced there", () => {
    const [a, b] = [storeOf("a"), storeOf("b")];
    put(a, { id: "m", worker: "a" });
    pull(b, a);
    put(b, { id: "k", worker: "b" });
    expect(codeOf(sql(b, "UPDATE OR REPLACE machines SET id = 'm' WHERE id = 'k'"))).toBe("not-owner");
    expect(codeOf(sql(b, "UPDATE machines SET id = 'j' WHERE id = 'k'"))).toBe("ok");
    expect(row(b, "j")).toEqual(["b", 0n]);
  });
});
