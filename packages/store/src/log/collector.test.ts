/** Churn leaves nothing behind that grows, and what is forgotten changes nothing that anybody can see. */
import { type Change, must, type RowWrite } from "@patina/base";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch, scrubbed } from "../testing/scratch-store.js";

const SCHEMA = "-- @app app\nCREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, app TEXT NOT NULL DEFAULT '');";
const WALL = 1_790_000_000_000;
const LATER = BigInt(WALL + 3_600_000) << 16n;
let scratch: Scratch;
let path: string;
let store: SqliteStore;

beforeEach(() => {
  scratch = new Scratch("collector");
  path = scratch.newPath();
  store = openStore(path, 1, SCHEMA);
});

afterEach(() => {
  store.close();
  const found = scrubbed(path);
  scratch.remove();
  if (found !== "") throw new Error(found);
});

function write(...rows: RowWrite[]): Change {
  const [outcome] = store.commit([{ kind: "rows", rows }], WALL);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

const put = (id: string, app = "web"): RowWrite => ({ table: "t", values: { id, app } });
const gone = (id: string): RowWrite => ({ table: "t", values: { id }, deleted: true });
const count = (table: string): number => Number(store.read(`SELECT count(*) FROM ${table}`)[0]?.[0]);
const finish = (): void => {
  while (store.maintain(7));
};

test("only tombstones of stable versions, and old enough, are forgotten", () => {
  write(put("a"), put("b"), put("c"));
  const [first, second] = [write(gone("a")), write(gone("b"))];
  store.noteStable(new Map([[store.origin, first.version]]), LATER);
  finish();
  expect(count("_patina_tombstones")).toBe(1);
  store.noteStable(new Map([[store.origin, second.version]]), second.hlc);
  finish();
  expect(count("_patina_tombstones")).toBe(1);
  store.noteStable(new Map([[store.origin, second.version]]), second.hlc + 1n);
  finish();
  expect(count("_patina_tombstones")).toBe(0);
  expect(store.read("SELECT id FROM t")).toEqual([["c"]]);
});

test("an app's high-water stays where its deleted rows left it", () => {
  write(put("a"), put("b", "api"));
  const last = write(gone("a"));
  const high = store.apps.highWater("t", "web");
  expect(high).toBe(last.hlc);
  store.noteStable(new Map([[store.origin, last.version]]), LATER);
  finish();
  expect(store.apps.highWater("t", "web")).toBe(high);
});

test("a hundred lives of every row leave no more than one", () => {
  const ids = Array.from({ length: 50 }, (_, i) => `m${i}`);
  const sizes: number[] = [];
  for (let life = 0; life < 100; life++) {
    write(...ids.map((id) => put(id)));
    const last = write(...ids.map(gone));
    store.noteStable(new Map([[store.origin, last.version]]), LATER);
    finish();
    sizes.push(count("_patina_tombstones"));
  }
  expect(Math.max(...sizes)).toBe(0);
  expect(store.tableDigests()).toEqual({});
});

test("nothing is owed to the disk after it was made durable, and a write that changes nothing owes nothing", () => {
  write(put("own"));
  expect(store.isDurable).toBe(true);
  const other = openStore(scratch.newPath(), 2, SCHEMA);
  const [outcome] = other.commit([{ kind: "rows", rows: [put("x")] }], WALL);
  other.close();
  store.apply([must(outcome?.ok === true ? outcome.change : undefined, "a change")]);
  expect(store.isDurable).toBe(false);
  store.commit([{ kind: "rows", rows: [put("x")] }], WALL); // Nothing changes, so nothing is synced.
  expect(store.isDurable).toBe(false);
  store.makeDurable();
  expect(store.isDurable).toBe(true);
});
