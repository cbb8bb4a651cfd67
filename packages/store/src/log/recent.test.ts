/** What is served from memory is what the rows here were made of, whatever came by the same version later. */
import { type Change, must, Ranges, type SqlValue } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER CHECK (n < 10));";
const scratch = new Scratch("recent");
const open = (node: number, schema = SCHEMA): SqliteStore => openStore(scratch.newPath(), node, schema);
afterAll(() => scratch.remove());

function put(store: SqliteStore, id: string, n: bigint): Change {
  const [outcome] = store.commit([{ kind: "rows", rows: [{ table: "t", values: { id, n } }] }], WALL);
  return must(outcome?.ok === true ? outcome.change : undefined, "a change");
}

/** What another member has that takes what `store` says of the first version. */
function rowsServed(store: SqliteStore, change: Change): SqlValue[][] {
  const { changes } = store.extract(change.origin, Ranges.of(1, 1), 1 << 20);
  const peer = open(9);
  peer.apply(changes);
  const rows = peer.read("SELECT id, n FROM t");
  peer.close();
  return rows;
}

test("a version that is held already is served as it was applied, not as it came again", () => {
  const [writer, path] = [open(1), scratch.newPath()];
  const change = put(writer, "right", 1n);
  const other = put(open(3), "wrong", 2n);
  const reader = openStore(path, 2, SCHEMA);
  reader.apply([change]);
  reader.close();
  const again = openStore(path, 2, SCHEMA); // Recent changes are in memory only.
  expect(again.apply([{ ...change, body: other.body }]).applied).toBe(0);
  expect(rowsServed(again, change)).toEqual([["right", 1n]]);
  again.close();
});

test("of two that come at once by one version, the one that was applied is served", () => {
  const change = put(open(1), "right", 1n);
  const reader = open(2);
  reader.apply([change, { ...change, body: put(open(3), "wrong", 2n).body }]);
  expect(rowsServed(reader, change)).toEqual([["right", 1n]]);
});
