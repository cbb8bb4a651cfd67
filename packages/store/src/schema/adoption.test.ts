/** Schemas that the rules let through and SQLite does not: refused where they are applied, and survived where they arrive. */
import { afterAll, expect, test } from "vitest";
import { Ranges, type Write } from "@patina/base";
import type { SqliteStore } from "../sqlite-store.js";
import { schemaWrite } from "./schema-history.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const FIRST =
  "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a INTEGER NOT NULL DEFAULT 1, b INTEGER NOT NULL DEFAULT 2);";
const table = (more: string): string => FIRST.replace(");", `, ${more});`);
const scratch = new Scratch("adoption");
afterAll(() => scratch.remove());

const put = (values: Record<string, string | number>): Write => ({ kind: "rows", rows: [{ table: "t", values }] });

function write(store: SqliteStore, ...writes: Write[]): void {
  for (const outcome of store.commit(writes, 1_790_000_000_000)) if (!outcome.ok) throw outcome.error;
}

/** Whatever was planned: what a member with other rows might have applied. */
function apply(store: SqliteStore, sql: string): void {
  const { write: row } = store.schemas.plan(sql);
  if (row === undefined) throw new Error("nothing to apply");
  write(store, { kind: "rows", rows: [row] });
}

function send(from: SqliteStore, to: SqliteStore): void {
  for (const [origin, { head }] of from.holdings()) {
    const had = to.holdings().get(origin)?.head ?? 0;
    const { changes, empty } = from.extract(origin, Ranges.of(had + 1, head), Infinity);
    to.apply(changes, [{ origin, versions: empty }], from.basis());
  }
}

test.each<[what: string, sql: string, ignored?: string[]]>([
  ["a stored column that is generated", table("c INTEGER AS (a + b) STORED")],
  ["a column that may not be null and is", table("c TEXT NOT NULL DEFAULT NULL")],
  ["a default that is no constant", table("c INTEGER NOT NULL DEFAULT (1 + 1)")],
  ["a check that the rows fail", table("c INTEGER NOT NULL DEFAULT 0 CHECK (a > 10)")],
  ["a table by the same name in another case", FIRST.replace("TABLE t", "TABLE T"), ["t"]],
  ["a column by the same name in another case", FIRST.replace(" a INTEGER", " A INTEGER"), ["t.a"]],
  ["an index that names its table within", `${FIRST}\nCREATE INDEX i ON t (a) WHERE t.a > 0;`],
])("%s is refused where there are rows, and nothing has changed", (_, sql, ignored = []) => {
  const path = scratch.newPath();
  const store = openStore(path, 1, FIRST);
  write(store, put({ id: "k", a: 5 }));
  expect(() => store.schemas.plan(sql, ignored)).toThrow(expect.objectContaining({ code: "schema-invalid" }));
  write(store, put({ id: "l", a: 6 }), { kind: "statements", statements: [{ sql: "UPDATE t SET a = 7", params: [] }] });
  store.close();
  const again = openStore(path, 1, FIRST);
  expect(again.read("SELECT id, a FROM t ORDER BY id")).toEqual([["k", 7n], ["l", 7n]]); // prettier-ignore
  expect(again.schemas.unadopted).toBeUndefined();
  again.close();
});

test("a member on whose rows a schema cannot be had goes on with its own, also after a restart, until one can", () => {
  const path = scratch.newPath();
  const [empty, full] = [openStore(scratch.newPath(), 1, FIRST), openStore(path, 2, FIRST)];
  write(full, put({ id: "k" }));
  apply(empty, table("c INTEGER NOT NULL DEFAULT (1 + 1)")); // It has no rows yet.
  send(empty, full);
  expect(full.schemas.unadopted).toMatchObject({ code: "schema-invalid" });
  write(full, put({ id: "l" }), { kind: "statements", statements: [{ sql: "UPDATE t SET a = 7", params: [] }] });
  full.close();
  const again = openStore(path, 2, FIRST);
  expect(again.schemas.unadopted).toMatchObject({ code: "schema-invalid" });
  expect(again.columns("t")).toEqual(["id", "a", "b"]);
  write(again, put({ id: "m" }));
  send(again, empty);
  const { write: row } = empty.schemas.plan(FIRST, ["t.c"]);
  write(empty, { kind: "rows", rows: row === undefined ? [] : [row] });
  send(empty, again);
  expect(again.schemas.unadopted).toBeUndefined();
  expect(again.digest()).toBe(empty.digest());
  for (const store of [again, empty]) store.close();
});

test("a trial leaves rows that wait beside the tables where they are", () => {
  const store = openStore(scratch.newPath(), 1, FIRST);
  const newer = openStore(scratch.newPath(), 2, FIRST);
  apply(newer, table("c TEXT NOT NULL DEFAULT ''"));
  write(newer, put({ id: "k", c: "new" }));
  const { changes } = newer.extract(newer.origin, Ranges.of(2, 2), Infinity);
  store.apply(changes);
  store.schemas.plan(table("c TEXT NOT NULL DEFAULT '', d TEXT"));
  write(store, put({ id: "k", a: 9 }));
  write(store, put({ id: "k", a: 1 }));
  apply(store, table("c TEXT NOT NULL DEFAULT ''"));
  expect(store.read("SELECT c FROM t")).toEqual([["new"]]);
  for (const each of [store, newer]) each.close();
});

test("a version that this release cannot read is held, and stops nothing", () => {
  const path = scratch.newPath();
  const store = openStore(path, 1, FIRST);
  write(store, put({ id: "k" }), { kind: "rows", rows: [schemaWrite({ version: 1, sql: "CREATE TABULATION t", author: "a".repeat(32), dropped: [] })] }); // prettier-ignore
  expect(store.schemas.unadopted).toMatchObject({ code: "schema-invalid" });
  write(store, put({ id: "l" }));
  store.close();
  const again = openStore(path, 1, FIRST);
  expect([again.schemas.unadopted?.code, again.read("SELECT count(*) FROM t")]).toEqual(["schema-invalid", [[2n]]]);
  again.close();
});
