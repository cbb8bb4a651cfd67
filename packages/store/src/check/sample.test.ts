/** Rows of a restored copy are compared with a live one where both have the same version, and nowhere else. */
import type { Write } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { takeImage } from "../database/image.js";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";
import { compareSample } from "./sample.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const WALL_MS = 1_790_000_000_000;
const scratch = new Scratch("sample");
afterAll(() => scratch.remove());

const put = (id: string, v: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v } }] });

function write(store: SqliteStore, wallMs: number, ...writes: readonly Write[]): void {
  for (const outcome of store.commit(writes, wallMs)) if (!outcome.ok) throw outcome.error;
}

test("a row of one version is one row: a copy that has another is named", () => {
  const path = scratch.newPath();
  const live = openStore(path, 1, SCHEMA);
  write(live, WALL_MS, put("a", "1"), put("b", "1"), put("c", "1"));
  live.makeDurable();
  const image = scratch.newPath();
  takeImage(path, image);
  write(live, WALL_MS + 1, put("c", "2"));
  expect(compareSample(image, path, 10)).toEqual({ compared: 2, differing: [] });
  live.close();
  const around = new Database(path);
  around.exec("UPDATE _patina_rows_t SET _patina_hash = _patina_hash + 1 WHERE id = 'a'");
  around.close();
  expect(compareSample(image, path, 10)).toEqual({ compared: 2, differing: ["t"] });
});
