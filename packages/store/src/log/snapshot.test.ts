/** Reading all rows in pieces, beside rows that went around the engine, and from cursors that are none of ours. */
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE kv (k INTEGER NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const ROWS = 200;
const scratch = new Scratch("snapshot");
afterAll(() => scratch.remove());

function filled(path: string): SqliteStore {
  const store = openStore(path, 1, SCHEMA);
  for (let k = 0; k < ROWS; k++) {
    const [outcome] = store.commit([{ kind: "rows", rows: [{ table: "kv", values: { k: 2 * k, v: "v" } }] }], 1);
    if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  }
  return store;
}

/** How many versions' rows all pieces from a cursor on have. */
function versionsFrom(store: SqliteStore, from: Uint8Array | undefined): number {
  const versions = new Set<number>();
  let after = from;
  do {
    const { changes, next } = store.snapshot(after, 1000);
    for (const { version } of changes) versions.add(version);
    after = next;
  } while (after !== undefined);
  return versions.size;
}

test("a row that went around the engine hides none of those after it", () => {
  const path = scratch.newPath();
  const store = filled(path);
  const around = new Database(path);
  around.prepare("INSERT INTO _patina_rows_kv (k, v) VALUES (21, 'around')").run();
  around.close();
  expect(versionsFrom(store, undefined)).toBe(ROWS);
  store.close();
});

test("a cursor that is none begins anew, and harms nothing", () => {
  const store = filled(scratch.newPath());
  const { next } = store.snapshot(undefined, 1000);
  const cursor = next ?? new Uint8Array();
  expect(versionsFrom(store, cursor)).toBeLessThan(ROWS);
  const damaged = [Buffer.from([1, 2, 3]), cursor.slice(0, -1), Buffer.concat([cursor, Buffer.from([9, 9])]), cursor.map((byte, at) => (at === 4 ? 77 : byte))]; // prettier-ignore
  for (const each of damaged) expect(versionsFrom(store, each)).toBe(ROWS);
  store.close();
});
