/** What a restore would lose, written out: whole or not at all, whatever an attempt before it has left. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SqlValue } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import { SqliteStore } from "../sqlite-store.js";
import { salvage, type SalvagedRow } from "./salvage.js";

const dir = mkdtempSync(join(tmpdir(), "patina-salvage-"));
afterAll(() => rmSync(dir, { recursive: true }));

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, r REAL, n NUMERIC);";

function open(path: string): SqliteStore {
  const cluster = { name: "iad", generation: 1 };
  return new SqliteStore({ path, cluster, node: "1".repeat(32), newDbId: () => "a".repeat(16), schemaSql: SCHEMA });
}

test("what a killed attempt left is not taken for the whole", () => {
  const path = join(dir, "state.db");
  const store = open(path);
  const rows = Array.from({ length: 100 }, (_, n) => ({ table: "t", values: { id: `k${n}` } }));
  store.commit([{ kind: "rows", rows }], 1_790_000_000_000);
  store.close();
  const target = join(dir, "salvage.ndjson");
  writeFileSync(target, '{"table":"t","val');
  writeFileSync(`${target}.part`, '{"table":"t"');
  expect(salvage(path, new Map(), target)).toBe(100);
  const lines = readFileSync(target, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as SalvagedRow).table)).toEqual(Array<string>(100).fill("t"));
  expect(readdirSync(dir).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("a column that holds nothing is written out as null", () => {
  const [path, target] = [join(dir, "nulls.db"), join(dir, "nulls.ndjson")];
  const store = open(path);
  store.commit([{ kind: "rows", rows: [{ table: "t", values: { id: "k", n: 5n } }] }], 1_790_000_000_000);
  store.close();
  expect(salvage(path, new Map(), target)).toBe(1);
  const { values } = JSON.parse(readFileSync(target, "utf8")) as SalvagedRow;
  expect(values).toEqual({ id: "k", r: null, n: 5 });
});

test("an infinity is written out as what brings it back", () => {
  const [path, target] = [join(dir, "infinite.db"), join(dir, "infinite.ndjson")];
  const store = open(path);
  const put = (values: Record<string, SqlValue>): void => {
    expect(store.commit([{ kind: "rows", rows: [{ table: "t", values }] }], 1_790_000_000_000)[0]).toMatchObject({
      ok: true,
    });
  };
  put({ id: "k", r: Infinity, n: -Infinity });
  expect(salvage(path, new Map(), target)).toBe(1);
  const { values } = JSON.parse(readFileSync(target, "utf8")) as SalvagedRow;
  expect(values).toEqual({ id: "k", r: "9e999", n: "-9e999" });
  put({ ...values, id: "again" });
  expect(store.read("SELECT r, n FROM t")).toEqual([[Infinity, -Infinity], [Infinity, -Infinity]]); // prettier-ignore
  store.close();
});
