/** What a restore would lose, written out: whole or not at all, whatever an attempt before it has left. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { SqliteStore } from "../sqlite-store.js";
import { salvage, type SalvagedRow } from "./salvage.js";

const dir = mkdtempSync(join(tmpdir(), "patina-salvage-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("what a killed attempt left is not taken for the whole", () => {
  const path = join(dir, "state.db");
  const store = new SqliteStore({
    path,
    cluster: { name: "iad", generation: 1 },
    node: "1".repeat(32),
    newDbId: () => "a".repeat(16),
    schemaSql: "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY);",
  });
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
