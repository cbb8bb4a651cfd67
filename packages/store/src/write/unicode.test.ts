/** Text that is no Unicode is in no row: what is here and what others receive would not be the same bytes. */
import { AppError, type Change, must, type SqlValue, type Write, type WriteOutcome } from "@patina/base";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { ScratchNodes } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const T = `CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, n INTEGER, b BLOB, o TEXT);`;
const LONE = "x\ud800y";
const nodes = new ScratchNodes("unicode");
const node = (schema = T): SqliteStore => nodes.open(schema);

afterEach(() => nodes.end());
afterAll(() => nodes.remove());

const commit = (store: SqliteStore, ...writes: Write[]): WriteOutcome[] => store.commit(writes, WALL);
const sql = (text: string, ...params: SqlValue[]): Write => {
  return { kind: "statements", statements: [{ sql: text, params }] };
};
const put = (values: Record<string, SqlValue>): Write => ({ kind: "rows", rows: [{ table: "t", values }] });
const codes = (outcomes: readonly WriteOutcome[]): string[] => outcomes.map((it) => (it.ok ? "ok" : it.error.code));
const changesOf = (outcomes: readonly WriteOutcome[]): Change[] => {
  return outcomes.flatMap((it) => (it.ok && it.change !== undefined ? [it.change] : []));
};

describe("text that is no Unicode", () => {
  test.each<[string, Write]>([
    ["in an object", put({ id: "k", a: LONE })],
    ["in a column of numbers", put({ id: "k", n: "\udc00" })],
    ["in a column of any bytes", put({ id: "k", b: LONE })],
    ["in a key", put({ id: LONE })],
    ["in a parameter", sql("UPDATE t SET a = ?", LONE)],
    ["in a named parameter", { kind: "statements", statements: [{ sql: "UPDATE t SET a = $a", params: { a: LONE } }] }],
    ["in a literal", sql(`UPDATE t SET a = '${LONE}'`)],
    ["made of bytes", sql("UPDATE t SET a = CAST(x'41ff42' AS TEXT)")],
    ["made of a surrogate's bytes", sql("INSERT INTO t (id, a) VALUES ('new', CAST(x'eda080' AS TEXT))")],
    ["made of half a character", sql("UPDATE t SET a = CAST(substr(CAST('é' AS BLOB), 1, 1) AS TEXT)")],
    ["made of a number", sql("INSERT INTO t (id, b) VALUES ('k', char(0xd800)) ON CONFLICT DO UPDATE SET b = excluded.b")], // prettier-ignore
  ])("%s is refused as a whole, alone, and others of its group are kept", (_, write) => {
    const store = node();
    commit(store, put({ id: "k", a: "before" }));
    const digest = store.digest();
    expect(codes(commit(store, write))).toEqual(["bad-request"]);
    expect([store.digest(), store.read("SELECT id, a FROM t")]).toEqual([digest, [["k", "before"]]]);
    expect(codes(commit(store, put({ id: "x" }), write, put({ id: "y" })))).toEqual(["ok", "bad-request", "ok"]);
    expect(store.read("SELECT id FROM t ORDER BY id")).toEqual([["k"], ["x"], ["y"]]);
  });

  test("is told apart by its column", () => {
    const store = node();
    commit(store, put({ id: "k" }));
    for (const write of [put({ id: "k", a: LONE }), sql("UPDATE t SET a = CAST(x'ff' AS TEXT)")]) {
      const outcome = must(commit(store, write)[0], "an outcome");
      const error = outcome.ok ? undefined : outcome.error;
      expect(error).toBeInstanceOf(AppError);
      expect([error?.message, error?.details]).toEqual(["t.a is not valid Unicode", { field: "a" }]);
    }
  });

  test("is not what a row says that holds U+FFFD itself, astral characters or a NUL: those are the same everywhere", () => {
    const [a, b] = [node(), node()];
    const changes = changesOf([
      ...commit(a, put({ id: "k1", a: "a\ufffdb" }), put({ id: "k2", a: "\u{1f600}" }), put({ id: "k3", a: "a\0b" })),
      ...commit(a, sql("UPDATE t SET o = 'c\ufffd' || char(0xfffd)"), sql("UPDATE t SET b = ?", "\ufffd")),
    ]);
    b.apply(changes);
    const rows = "SELECT id, hex(a), hex(b), hex(o) FROM t ORDER BY id";
    expect(b.read(rows)).toEqual(a.read(rows));
    expect(a.read(rows)[0]).toEqual(["k1", "61EFBFBD62", "EFBFBD", "63EFBFBDEFBFBD"]);
    expect(b.digest()).toBe(a.digest());
  });

  test("is no owner that a row is handed to", () => {
    const store = node("-- @owner o\nCREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, o TEXT);");
    const self = store.owners.self.worker;
    expect(codes(commit(store, put({ id: "k", o: self })))).toEqual(["ok"]);
    expect(codes(commit(store, { kind: "handoffs", handoffs: [{ table: "t", key: ["k"], to: LONE }] }))).toEqual([
      "bad-request",
    ]);
    expect(store.read("SELECT o FROM t")).toEqual([[self]]);
  });
});
