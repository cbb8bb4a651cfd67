/** What the log says of a version is all that is left of it, however large it was and however often the log was swept. */
import { type Change, must, Ranges, type RowWrite } from "@patina/base";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);";
const WALL = 1_790_000_000_000;
/** More than one entry of the log has room for. */
const ROWS = 1000;
let scratch: Scratch;
let path: string;
let store: SqliteStore;

beforeEach(() => {
  scratch = new Scratch("log");
  path = scratch.newPath();
  store = openStore(path, 1, SCHEMA);
});

afterEach(() => {
  store.close();
  scratch.remove();
});

function write(n: number, count = ROWS): Change {
  const rows = Array.from({ length: count }, (_, i): RowWrite => ({
    table: "t",
    values: { id: `row ${i}`, n: BigInt(n) },
  }));
  const [outcome] = store.commit([{ kind: "rows", rows }], WALL + n);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

/** What a peer becomes that is given all versions as they are read back. */
function expectWholeAtPeer(versions: number): void {
  store.close();
  store = openStore(path, 1, SCHEMA); // Recent changes are read from memory; a store just opened has none.
  const { changes, empty } = store.extract(store.origin, Ranges.of(1, versions), Infinity);
  const peer = openStore(scratch.newPath(), 2, SCHEMA);
  peer.apply(changes, [{ origin: store.origin, versions: empty }]);
  expect([peer.digest(), peer.holdings()]).toEqual([store.digest(), store.holdings()]);
  peer.close();
}

test("a version of many rows is read back whole", () => {
  write(1);
  expectWholeAtPeer(1);
});

test("a sweep takes away what is dead, and nothing else", () => {
  for (let n = 1; n <= 20; n++) write(n);
  const { version } = write(21, ROWS / 2 + 7); // Of version 20, the other half is alive.
  expect(store.maintain(10)).toBe(true);
  while (store.maintain(10)); // Slices smaller than an entry.
  expect(store.read("SELECT sum(count) FROM _patina_log")).toEqual([[BigInt(ROWS)]]);
  expectWholeAtPeer(version);
});
