/** Two histories under one name are told from one: each change carries a link to all before it. */
import { ByteReader, ByteWriter, type Change, must, Ranges, readChange, type Write, writeChange } from "@patina/base";
import { copyFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT);";
const WALL = 1_790_000_000_000;
let scratch: Scratch;
const opened: SqliteStore[] = [];

beforeEach(() => {
  scratch = new Scratch("chain");
});

afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  scratch.remove();
});

function open(path: string, node: number): SqliteStore {
  const store = openStore(path, node, SCHEMA);
  opened.push(store);
  return store;
}

function write(store: SqliteStore, id: string, v: string): Change {
  const put: Write = { kind: "rows", rows: [{ table: "t", values: { id, v } }] };
  const [outcome] = store.commit([put], WALL);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

test("a history is followed across restarts and over the wire, and what is read back from rows has no link", () => {
  const [from, to] = [scratch.newPath(), scratch.newPath()];
  let [a, b] = [open(from, 1), open(to, 2)];
  for (const v of ["1", "2", "3"]) {
    const writer = new ByteWriter();
    writeChange(writer, write(a, "k", v));
    expect(b.apply([readChange(new ByteReader(writer.done()), 1 << 20)]).forked).toEqual([]);
    [a, b] = [a, b].map((store, i) => {
      store.close();
      opened.splice(opened.indexOf(store), 1);
      return open(i === 0 ? from : to, i + 1);
    }) as [SqliteStore, SqliteStore];
  }
  const late = open(scratch.newPath(), 3);
  const { changes, empty } = b.extract(a.origin, Ranges.of(1, 3), 1 << 20);
  expect(changes.map(({ version, chain }) => [version, chain])).toEqual([[3, undefined]]);
  expect(late.apply(changes, [{ origin: a.origin, versions: empty }]).forked).toEqual([]);
  expect(late.apply([write(a, "k", "4"), write(a, "k", "5")]).forked).toEqual([]);
});

test("a database that goes on from an old copy is found out by whoever holds what it has forgotten", () => {
  const [path, copy] = [scratch.newPath(), scratch.newPath()];
  const [a, b] = [open(path, 1), open(scratch.newPath(), 2)];
  b.apply([write(a, "k", "1")]);
  a.close();
  opened.splice(0, 1);
  copyFileSync(path, copy);
  const first = open(path, 1);
  b.apply([write(first, "k", "2")]);
  const second = open(copy, 1); // The same node and database once more.
  const [instead, after] = [write(second, "k", "other"), write(second, "k", "after")];
  expect(b.apply([instead]).forked).toEqual([]); // A version that is held is not looked at again.
  expect(b.apply([after]).forked).toEqual([after]);
});
