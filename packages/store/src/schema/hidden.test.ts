/** What a schema hides keeps its data and stands in nobody's way; and which names a schema may use, hide and drop. */
import { AppError, type Change, must, Ranges, type SqlValue } from "@patina/base";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, ScratchNodes } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const BASE = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, m INTEGER);";
const wider = (column: string): string => `${BASE.slice(0, -2)}, ${column});`;
const nodes = new ScratchNodes("hidden");
const node = (schema: string): SqliteStore => nodes.open(schema);
let tick = 0;

afterEach(() => nodes.end());
afterAll(() => nodes.remove());

function commit(store: SqliteStore, write: Parameters<SqliteStore["commit"]>[0][number]): Change {
  const [outcome] = store.commit([write], WALL + ++tick);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

const sql = (store: SqliteStore, ...texts: string[]): Change => {
  return commit(store, { kind: "statements", statements: texts.map((text) => ({ sql: text, params: [] })) });
};
const apply = (store: SqliteStore, schema: string, ignored: string[] = []): Change => {
  return commit(store, { kind: "rows", rows: [must(store.schemas.plan(schema, ignored).write, "something to apply")] });
};
const all = (store: SqliteStore): SqlValue[][] => store.read("SELECT * FROM t ORDER BY 1");

describe("a hidden column", () => {
  test.each([
    ["REPLACE", ["REPLACE INTO t VALUES ('1', 'new', 5)"]],
    ["INSERT OR REPLACE", ["INSERT OR REPLACE INTO t (id, a) VALUES ('1', 'other'), ('1', 'new')"]],
    ["a DELETE and an INSERT", ["DELETE FROM t WHERE id = '1'", "INSERT INTO t VALUES ('1', 'new', 5)"]],
    ["UPDATE", ["UPDATE t SET a = 'new' WHERE id = '1'"]],
  ])("keeps what it holds through %s", (_, statements) => {
    const [a, b] = [node(wider("n INTEGER DEFAULT 3, o TEXT")), node(wider("n INTEGER DEFAULT 3, o TEXT"))];
    b.apply([sql(a, "INSERT INTO t VALUES ('1', 'x', 1, 7, 'word'), ('2', 'y', 2, 8, NULL)")]);
    b.apply([apply(a, BASE, ["t.n", "t.o"])]);
    b.apply([sql(a, ...statements)]);
    expect(b.digest()).toBe(a.digest());
    a.apply([apply(b, wider("n INTEGER DEFAULT 3, o TEXT"))]);
    expect(all(a)).toEqual(all(b));
    expect(a.read("SELECT a, n, o FROM t WHERE id = '1'")).toEqual([["new", 7n, "word"]]);
  });

  test("goes with its row when that moves, and is not what another row left behind", () => {
    const a = node(wider("n INTEGER"));
    sql(a, "INSERT INTO t VALUES ('1', 'x', 1, 7), ('2', 'y', 2, 8)");
    apply(a, BASE, ["t.n"]);
    sql(a, "UPDATE OR REPLACE t SET id = '2' WHERE id = '1'");
    apply(a, wider("n INTEGER"));
    expect(all(a)).toEqual([["2", "x", 1n, 7n]]);
  });

  test("a REPLACE by itself is no change, with it as without", () => {
    const a = node(wider("n INTEGER"));
    sql(a, "INSERT INTO t VALUES ('1', 'x', 1, 7)");
    apply(a, BASE, ["t.n"]);
    const write = { kind: "statements", statements: [{ sql: "REPLACE INTO t VALUES ('1', 'x', 1)", params: [] }] } as const; // prettier-ignore
    expect(a.commit([write], WALL)[0]).toMatchObject({ ok: true, change: undefined });
  });

  test.each(["n INTEGER NOT NULL DEFAULT 0 CHECK (n > 0)", "n INTEGER DEFAULT 5 CHECK (n > m)"])(
    "checks nothing any more: %s",
    (column) => {
      const [a, b, late] = [node(wider(column)), node(wider(column)), node(BASE)];
      const rows = sql(a, "INSERT INTO t VALUES ('1', 'x', 1, 7)");
      const hiding = apply(a, BASE, ["t.n"]);
      b.apply([rows, hiding]);
      late.apply([hiding]); // It never had the column.
      const writes = [
        sql(late, "INSERT INTO t VALUES ('2', 'y', 100)"),
        sql(b, "INSERT INTO t VALUES ('3', 'z', 100)"),
      ];
      writes.push(sql(b, "UPDATE t SET m = 100 WHERE id = '1'"));
      for (const store of [a, b, late]) {
        store.apply([rows, ...writes]);
        expect(store.quarantinedCount()).toBe(0);
      }
      expect([a.comparableDigest(), all(a)]).toEqual([late.comparableDigest(), all(late)]);
      expect(nodes.reopened(a).comparableDigest()).toBe(b.comparableDigest());
    },
  );

  test("that was generated of others holds nothing, and comes back with them", () => {
    const [a, b] = [node(BASE), node(BASE)];
    const both = wider("n INTEGER, g INTEGER AS (m * 10 + n), h INTEGER CHECK (h > n)");
    b.apply([apply(a, both), sql(a, "INSERT INTO t (id, m, n, h) VALUES ('1', 1, 7, 8)")]);
    b.apply([apply(a, BASE, ["t.g", "t.h", "t.n"])]);
    expect([a.schemas.unadopted, b.schemas.unadopted, all(b)]).toEqual([undefined, undefined, [["1", null, 1n]]]);
    expect(() => a.schemas.drop(["t.g"])).toThrow("not hidden");
    a.apply([sql(b, "UPDATE t SET m = 2")]);
    b.apply([apply(a, both)]);
    for (const store of [a, b]) expect(store.read("SELECT m, n, g, h FROM t")).toEqual([[2n, 7n, 27n, 8n]]);
  });

  test("with a check gives its data back when it returns, and can be dropped", () => {
    const column = "n INTEGER CHECK (n > 0)";
    const a = node(wider(column));
    sql(a, "INSERT INTO t VALUES ('1', 'x', 1, 7), ('2', 'y', 2, NULL)");
    apply(a, BASE, ["t.n"]);
    sql(a, "REPLACE INTO t VALUES ('1', 'new', 1)");
    apply(a, wider(column));
    expect(all(a)).toEqual([["1", "new", 1n, 7n], ["2", "y", 2n, null]]); // prettier-ignore
    expect(() => sql(a, "UPDATE t SET n = -1")).toThrow(AppError);
    apply(a, BASE, ["t.n"]);
    commit(a, { kind: "rows", rows: [a.schemas.drop(["t.n"])] });
    while (a.maintain(1));
    apply(a, wider(column));
    expect(all(nodes.reopened(a))).toEqual([["1", "new", 1n, null], ["2", "y", 2n, null]]); // prettier-ignore
  });
});

test("what has a comma or a point in its name can be hidden, and not be dropped for another", () => {
  const a = node(`${BASE} CREATE TABLE "t.a" (id TEXT NOT NULL PRIMARY KEY); CREATE TABLE "t,m" (id TEXT NOT NULL PRIMARY KEY, "x.y" TEXT);`); // prettier-ignore
  sql(a, "INSERT INTO t VALUES ('1', 'kept', 5)");
  apply(a, BASE, ["t.a", "t,m"]);
  for (const name of ["t.a", "t,m"]) {
    expect(() => a.schemas.drop([name])).toThrow(expect.objectContaining({ code: "bad-request", message: expect.stringContaining("cannot be dropped") })); // prettier-ignore
  }
  expect(all(a)).toEqual([["1", "kept", 5n]]);
});

test("a table and a column with the longest name there may be reach a peer", () => {
  const [table, column] = ["é".repeat(512), "c".repeat(1024)];
  const schema = `CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY); CREATE TABLE ${table} (id TEXT NOT NULL PRIMARY KEY, ${column} TEXT);`;
  const [a, b] = [node(schema), node(schema)];
  b.apply([sql(a, `INSERT INTO ${table} VALUES ('1', 'x')`)]);
  expect([b.quarantinedCount(), b.digest()]).toEqual([0, a.digest()]);
  const again = nodes.reopened(a);
  b.apply(again.extract(again.origin, Ranges.of(1, 1), 1 << 20).changes);
  expect(b.digest()).toBe(again.digest());
});

test.each([
  [
    "an app that is generated",
    "-- @app g\nCREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, v TEXT, g TEXT AS (v));",
    "@app names g",
  ],
  [
    "a table's name that no change could carry",
    `CREATE TABLE ${"é".repeat(513)} (id TEXT NOT NULL PRIMARY KEY);`,
    "1026 bytes",
  ],
  ["a column's", `CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, ${"v".repeat(1025)} TEXT);`, "1025 bytes"],
])("%s is refused, applied or shipped", (_, text, reason) => {
  const refused = expect.objectContaining({
    code: "schema-invalid",
    message: expect.stringContaining(reason),
  }) as Error;
  const a = node(BASE);
  expect(() => a.schemas.plan(`${BASE}\n${text}`)).toThrow(refused);
  expect(() => openStore(nodes.newPath(), 9, text)).toThrow(refused);
});
