/** The fence of a generation: what was written before it and is not in its checkpoint stays out, whoever brings it. */
import { hlcFromMs, must, Ranges, type Write } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import { adoptImage } from "../adopt-image.js";
import { takeImage } from "../database/image.js";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const WALL_MS = 1_790_000_000_000;
const scratch = new Scratch("closed");
afterAll(() => scratch.remove());

const put = (id: string, v: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v } }] });

function write(store: SqliteStore, wallMs: number, ...writes: readonly Write[]): void {
  for (const outcome of store.commit(writes, wallMs)) if (!outcome.ok) throw outcome.error;
}

/** A generation that begins with what `path` has, a minute later. */
function restored(path: string, node = 9, image = scratch.newPath()): SqliteStore {
  const { digest } = takeImage(path, image);
  adoptImage(image, { cluster: "iad", digest, generation: 1, floor: hlcFromMs(WALL_MS + 60_000) });
  return openStore(image, node, SCHEMA);
}

const changesOf = (from: SqliteStore) =>
  from.extract(from.origin, Ranges.of(1, must(from.holdings().get(from.origin), "its own").head), Infinity).changes;

test("a known origin is closed where the checkpoint has it", () => {
  const path = scratch.newPath();
  const old = openStore(path, 1, SCHEMA);
  write(old, WALL_MS, put("a", "good"));
  old.makeDurable();
  const begun = restored(path);
  write(old, WALL_MS + 120_000, put("a", "poison"), put("b", "poison"));
  begun.apply(changesOf(old));
  expect(begun.read("SELECT id, v FROM t")).toEqual([["a", "good"]]);
  for (const store of [old, begun]) store.close();
});

test("an unknown origin's changes join from the floor on, and not before", () => {
  const path = scratch.newPath();
  const old = openStore(path, 1, SCHEMA);
  write(old, WALL_MS, put("a", "good"));
  old.makeDurable();
  const begun = restored(path);
  const [straggler, newcomer] = [openStore(scratch.newPath(), 2, SCHEMA), openStore(scratch.newPath(), 3, SCHEMA)];
  write(straggler, WALL_MS + 1, put("a", "poison"));
  write(newcomer, WALL_MS + 120_000, put("c", "new"));
  begun.apply([...changesOf(straggler), ...changesOf(newcomer)]);
  expect(begun.read("SELECT id, v FROM t ORDER BY id")).toEqual([
    ["a", "good"],
    ["c", "new"],
  ]);
  for (const store of [old, begun, straggler, newcomer]) store.close();
});

test("a version of this generation joins whatever the stamps of its rows, also when it is read back from them", () => {
  const path = scratch.newPath();
  const old = openStore(path, 1, SCHEMA);
  write(old, WALL_MS, put("a", "good"));
  old.makeDurable();
  const home = scratch.newPath();
  const [begun, newcomer, joiner] = [restored(path, 9, home), restored(path, 11), restored(path, 12)];
  const stamp = { epoch: 0, hlc: hlcFromMs(WALL_MS + 5) }; // Of a time before this generation.
  write(begun, WALL_MS + 120_000, { kind: "rows", rows: [{ table: "t", values: { id: "b", v: "told" }, stamp }] });
  const image = scratch.newPath();
  begun.makeDurable();
  takeImage(home, image);
  const peer = openStore(image, 10, SCHEMA); // It has the rows, and no change as it was made.
  newcomer.apply(peer.extract(begun.origin, Ranges.of(1, 1), Infinity).changes);
  expect(newcomer.quarantinedCount()).toBe(0);
  expect(newcomer.digest()).toBe(begun.digest());
  joiner.join(peer.snapshot(undefined, 1 << 20).changes, new Map());
  expect([joiner.quarantinedCount(), joiner.digest()]).toEqual([0, begun.digest()]);
  for (const store of [old, begun, peer, newcomer, joiner]) store.close();
});
