/** A scrub goes from table to table, and between two of them nothing keeps the write-ahead log from starting over. */
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { openStore, Scratch } from "../testing/scratch-store.js";
import { scrubTables } from "./scrub.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY); CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);";
const scratch = new Scratch("scrub");
afterAll(() => scratch.remove());

test("each table is read in a snapshot of its own, as it is by then", () => {
  const path = scratch.newPath();
  const store = openStore(path, 1, SCHEMA);
  const put = (table: string, id: string): void => {
    expect(store.commit([{ kind: "rows", rows: [{ table, values: { id } }] }], 1_790_000_000_000)[0]?.ok).toBe(true);
  };
  for (const table of ["t", "u"]) put(table, "before");
  const [db, other] = [new Database(path), new Database(path)];
  const findings: string[] = [];
  let rounds = 0;
  for (const found of scrubTables(db)) {
    findings.push(...found.map(({ table }) => table));
    put("u", `meanwhile ${++rounds}`);
    expect(other.pragma("wal_checkpoint(TRUNCATE)")).toMatchObject([{ busy: 0 }]);
  }
  expect([rounds >= 2, findings]).toEqual([true, []]);
  other.exec("INSERT INTO _patina_rows_u (id) VALUES ('around the engine')");
  expect([...scrubTables(db)].flat().map(({ table }) => table)).toEqual(["u"]);
  for (const each of [store, db, other]) each.close();
});
