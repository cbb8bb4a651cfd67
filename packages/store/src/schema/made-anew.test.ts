/** Two schemas at once, where the winner's table cannot be made of the loser's: it is made anew, whole, and loses nothing. */
import { AppError, type Change, must, type SqlValue } from "@patina/base";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { ScratchNodes } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const BASE = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL DEFAULT '');";
const nodes = new ScratchNodes("anew");
const node = (): SqliteStore => nodes.open(BASE);
let tick = 0;

afterEach(() => nodes.end());
afterAll(() => nodes.remove());

function commit(store: SqliteStore, write: Parameters<SqliteStore["commit"]>[0][number]): Change {
  const [outcome] = store.commit([write], WALL + ++tick);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

const sql = (store: SqliteStore, text: string): Change => {
  return commit(store, { kind: "statements", statements: [{ sql: text, params: [] }] });
};
const apply = (store: SqliteStore, schema: string): Change => {
  return commit(store, { kind: "rows", rows: [must(store.schemas.plan(schema).write, "something to apply")] });
};
const all = (store: SqliteStore, table: string): SqlValue[][] => store.read(`SELECT * FROM ${table} ORDER BY 1`);
const planOf = (store: SqliteStore, query: string): unknown => store.read(`EXPLAIN QUERY PLAN ${query}`)[0]?.[3];

/** Each applies its schema and writes its rows before it hears of the other's, which is the later. */
function atOnce(loser: readonly [schema: string, ...rows: string[]], winner: readonly [schema: string, row: string]) {
  const [a, b] = [node(), node()];
  const [lost, ...rows] = loser;
  const first = [apply(a, lost), ...rows.map((row) => sql(a, row))];
  const second = [apply(b, winner[0]), sql(b, winner[1])];
  a.apply(second);
  b.apply(first);
  for (const store of [a, b]) expect(store.schemas.unadopted).toBeUndefined();
  return { a, b };
}

describe("of two schemas applied at once, both have the later one's", () => {
  test("check, and what only the other one's lets in is not lost", () => {
    const schema = (check: string): string => `${BASE} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, n INTEGER, m INTEGER, CHECK (${check}));`; // prettier-ignore
    const { a, b } = atOnce(
      [schema("n < m"), "INSERT INTO u VALUES ('lost', 1, 2)", "INSERT INTO u VALUES ('both', NULL, 2)"],
      [schema("n > m"), "INSERT INTO u VALUES ('kept', 2, 1)"],
    );
    for (const store of [a, b]) {
      expect(() => sql(store, "INSERT INTO u VALUES ('x', 1, 2)")).toThrow(AppError);
      expect(all(store, "u")).toEqual([["both", null, 2n], ["kept", 2n, 1n]]); // prettier-ignore
    }
    expect([a.read("SELECT count(*) FROM _patina_aside"), b.quarantinedCount()]).toEqual([[[1n]], 1]);
  });

  test("key, with its indexes", () => {
    const schema = (key: string): string => `${BASE} CREATE TABLE u (k INTEGER NOT NULL, l TEXT NOT NULL DEFAULT '', n INTEGER, PRIMARY KEY (${key})); CREATE INDEX u_n ON u (n);`; // prettier-ignore
    const { a, b } = atOnce(
      [schema("k"), "INSERT INTO u VALUES (1, 'lost', 7)"],
      [schema("k, l"), "INSERT INTO u VALUES (1, 'kept', 8)"],
    );
    for (const store of [a, b]) {
      expect(all(store, "u")).toEqual([[1n, "kept", 8n]]);
      expect(planOf(store, "SELECT l FROM u WHERE n = 8")).toContain("u_n");
    }
    expect(a.digest()).toBe(b.digest());
  });

  test("type of an indexed column", () => {
    const schema = (type: string): string => `${BASE.slice(0, -2)}, x ${type}); CREATE INDEX t_x ON t (x);`;
    const { a, b } = atOnce(
      [schema("TEXT"), "INSERT INTO t (id, x) VALUES ('1', 'word')"],
      [schema("INTEGER"), "INSERT INTO t (id, x) VALUES ('2', 5)"],
    );
    for (const store of [a, b]) {
      expect(all(store, "t")).toEqual([["1", "", "word"], ["2", "", 5n]]); // prettier-ignore
      expect(planOf(store, "SELECT id FROM t WHERE x = 5")).toContain("t_x");
    }
    expect(a.digest()).toBe(b.digest());
  });
});
