/** Debts that nobody pays any more: made out for good, passed on, and over only when it is said that they are. */
import { heldVersions, must, NO_HOLDING, originNode, Ranges, VERSION_MAX, type Write } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const WALL_MS = 1_790_000_000_000;
const scratch = new Scratch("debts");
afterAll(() => scratch.remove());

const put = (id: string, v: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v } }] });

function write(store: SqliteStore, ...writes: readonly Write[]): void {
  for (const outcome of store.commit(writes, WALL_MS)) if (!outcome.ok) throw outcome.error;
}

const enlist = (store: SqliteStore): Write => ({
  kind: "rows",
  rows: [must(store.members.enlistment(), "an enlistment")],
});

const heldOf = (of: SqliteStore, from: SqliteStore): Ranges =>
  heldVersions(from.holdings().get(of.origin) ?? NO_HOLDING);

/** What `from` holds of `of` and `to` does not, up to `last`, read back from its rows. */
function repair(to: SqliteStore, from: SqliteStore, of: SqliteStore, last = Infinity): void {
  const wanted = heldOf(of, from)
    .subtract(heldOf(of, to))
    .intersect(Ranges.of(1, Math.min(last, VERSION_MAX)));
  const { changes, empty } = from.extract(of.origin, wanted, Infinity);
  to.apply(changes, [{ origin: of.origin, versions: empty }], from.basis());
}

function joinAll(to: SqliteStore, from: SqliteStore): void {
  to.join(from.snapshot(undefined, Infinity).changes, from.basis());
}

/**
 * A node writes a row twice. One member has the first of these from itself; the debtor has read that back from its rows, where
 * the second stands. Then the node is lost, and given up.
 */
function lost() {
  const paths = [scratch.newPath(), scratch.newPath(), scratch.newPath()] as const;
  const [node, member, debtor] = [1, 2, 3].map((n) => openStore(must(paths[n - 1], "a path"), n, SCHEMA)) as [
    SqliteStore,
    SqliteStore,
    SqliteStore,
  ];
  write(node, enlist(node));
  write(node, put("a", "first"));
  repair(member, node, node);
  write(node, put("a", "second"));
  repair(debtor, node, node, 2);
  const giveUp = (): void => {
    write(member, {
      kind: "rows",
      rows: [must(member.members.eviction(originNode(node.origin)), "an eviction")],
    });
    repair(debtor, member, member);
  };
  return { node, member, debtor, giveUp, path: paths[2] };
}

test("what is owed of a node is not for good before it is given up", () => {
  const { node, member, debtor } = lost();
  expect([member.isWhole, debtor.isWhole]).toEqual([true, false]);
  expect(debtor.debts.list()).toEqual([]);
  repair(debtor, node, node);
  expect(debtor.isWhole).toBe(true);
});

test("once its node is given up, no version pays a debt, and whoever reads the rows owes it, too", () => {
  const { node, member, debtor, giveUp, path } = lost();
  giveUp();
  expect(debtor.debts.list()).toEqual([node.origin]);
  expect(debtor.debts.joined(node.origin).isEmpty).toBe(true);
  expect(debtor.basis().get(node.origin)).toBe(VERSION_MAX);
  debtor.apply([], [{ origin: node.origin, versions: Ranges.of(1, 9) }]);
  expect(debtor.isWhole).toBe(false);
  const fourth = openStore(scratch.newPath(), 4, SCHEMA);
  repair(fourth, debtor, node);
  expect([fourth.isWhole, fourth.debts.list().length]).toEqual([false, 1]);
  debtor.close();
  const again = openStore(path, 3, SCHEMA);
  expect([again.isWhole, again.debts.list().length]).toEqual([false, 1]);
  expect([member.isWhole, member.debts.list()]).toEqual([true, []]);
});

test("with the others' rows joined and the debt settled, the state is what theirs is", () => {
  const { node, member, debtor, giveUp } = lost();
  giveUp();
  expect(debtor.read("SELECT v FROM t")).toEqual([]);
  joinAll(debtor, member);
  debtor.debts.settle([{ origin: node.origin, versions: Ranges.empty }]);
  expect(debtor.read("SELECT v FROM t")).toEqual([["first"]]);
  expect(debtor.comparableDigest()).toBe(member.comparableDigest());
  expect(debtor.basis()).toEqual(member.basis());
});

test("versions whose rows were joined and that are not held are told, and are held and read back once it is settled", () => {
  const { node, member, debtor, giveUp } = lost();
  write(node, put("b", "third"), put("c", "fourth"));
  write(node, put("c", "fifth"));
  joinAll(debtor, node);
  giveUp();
  expect(debtor.debts.joined(node.origin).toString()).toBe("3-4,6");
  joinAll(debtor, member);
  debtor.debts.settle([{ origin: node.origin, versions: Ranges.of(3, 6) }]);
  expect(debtor.isWhole).toBe(true);
  repair(member, debtor, node);
  expect(member.read("SELECT id, v FROM t ORDER BY id")).toEqual([
    ["a", "second"],
    ["b", "third"],
    ["c", "fifth"],
  ]);
  expect(member.comparableDigest()).toBe(debtor.comparableDigest());
});

test("a database that was given up has ended for good, though the next one of its node is given up, too", () => {
  const { node, debtor } = lost();
  const returned = openStore(scratch.newPath(), 1, SCHEMA, { newDbId: () => "e".repeat(16) });
  returned.commit([enlist(returned)], WALL_MS + 1);
  repair(debtor, returned, returned);
  const eviction = must(debtor.members.eviction(originNode(node.origin)), "an eviction");
  debtor.commit([{ kind: "rows", rows: [eviction] }], WALL_MS + 3);
  expect([debtor.debts.hasEnded(node.origin), debtor.debts.hasEnded(returned.origin)]).toEqual([true, true]);
  const third = openStore(scratch.newPath(), 1, SCHEMA, { newDbId: () => "f".repeat(16) });
  third.commit([put("z", "of a clock that is behind")], WALL_MS + 2);
  third.commit([put("z", "twice")], WALL_MS + 2);
  repair(debtor, third, third, 2);
  expect(debtor.debts.hasEnded(third.origin)).toBe(false);
});

test("what was joined stays behind the clock after a restart, though no version of it is held", () => {
  const { node } = lost();
  const path = scratch.newPath();
  const fourth = openStore(path, 4, SCHEMA);
  joinAll(fourth, node);
  expect(fourth.highWater()).toBe(node.highWater());
  fourth.close();
  expect(openStore(path, 4, SCHEMA).highWater()).toBe(node.highWater());
});

test("one of which rows were joined and no version is held ends like any other", () => {
  const { node, debtor } = lost();
  const fourth = openStore(scratch.newPath(), 4, SCHEMA);
  joinAll(fourth, node);
  expect(fourth.holdings().has(node.origin)).toBe(false);
  const returned = openStore(scratch.newPath(), 1, SCHEMA, { newDbId: () => "e".repeat(16) });
  expect(fourth.debts.hasEnded(returned.origin)).toBe(false);
  returned.commit([enlist(returned)], WALL_MS + 1);
  repair(fourth, returned, returned);
  expect(fourth.debts.list()).toEqual([node.origin]);
  expect(debtor.debts.list()).toEqual([]);
});

test("what a node owed with its last database stays for good when it comes back with another", () => {
  const { node, member, debtor } = lost();
  const returned = openStore(scratch.newPath(), 1, SCHEMA, { newDbId: () => "e".repeat(16) });
  returned.commit([enlist(returned)], WALL_MS + 1);
  repair(debtor, returned, returned);
  expect(debtor.debts.list()).toEqual([node.origin]);
  repair(member, returned, returned);
  expect(member.debts.list()).toEqual([]);
});
