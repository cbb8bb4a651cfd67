/** Small scopes, exhaustively, on the real engine: every order of a few changes, duplicated, and with one crash. */
import { copyFileSync, existsSync, rmSync, statSync, truncateSync } from "node:fs";
import type { Change } from "@patina/base";
import { must } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { Book } from "../testing/book.js";
import { openStore, Scratch, scrubbed } from "../testing/scratch-store.js";
import { ARRIVALS, checkRows, FOUR, type History, histories, permutations, type Scenario, SmallWorld, THREE, WORLD_SCHEMA, withDuplicate } from "../testing/small-world.js"; // prettier-ignore

const scratch = new Scratch("small");
afterAll(() => scratch.remove());
const REPLICAS = [0, 1, 2];

/** Three stores, given to `work` as one world, and scrubbed in the end. */
function inWorld(work: (world: SmallWorld) => void): number {
  const paths = REPLICAS.map(() => scratch.newPath());
  const stores = paths.map((path, i) => openStore(path, i + 1, WORLD_SCHEMA));
  const reopen = (i: number): SqliteStore => {
    stores[i]?.close();
    return (stores[i] = openStore(must(paths[i], "a path"), i + 1, WORLD_SCHEMA));
  };
  const world = new SmallWorld(stores, reopen);
  try {
    work(world);
  } finally {
    for (const store of stores) store.close();
  }
  for (const path of paths) expect(scrubbed(path)).toBe("");
  return world.cases;
}

test("every interleaving of four writes by three replicas and their eight deliveries", { timeout: 0 }, () => {
  const cases = inWorld((world) => {
    for (const scenario of FOUR) for (const history of histories(scenario)) world.run(scenario, history);
  });
  expect(cases).toBeGreaterThan(2000);
  process.stdout.write(`small scope: ${cases} histories of four writes\n`);
});

test(
  "every interleaving of three writes by three replicas, with any one duplicate or any one restart",
  { timeout: 0 },
  () => {
    const cases = inWorld((world) => {
      for (const scenario of THREE) {
        for (const history of histories(scenario)) {
          for (const duplicated of duplicates(history)) world.run(scenario, duplicated);
          history.forEach((sequence, replica) => {
            sequence.forEach((_, place) => world.run(scenario, history, { replica, place }));
          });
        }
      }
    });
    expect(cases).toBeGreaterThan(2000);
    process.stdout.write(`small scope: ${cases} histories of three writes with a duplicate or a restart\n`);
  },
);

test(
  "every order of up to four arrivals, with any one duplicate, and a crash after any of them that loses all or nothing unsynced",
  { timeout: 0 },
  () => {
    let cases = 0;
    const template = scratch.newPath();
    openStore(template, 9, WORLD_SCHEMA).close();
    for (const [i, scenario] of ARRIVALS.entries()) {
      const changes = makeArrivals(scenario);
      const whole = arrive(template, changes, undefined);
      for (const order of permutations(changes)) {
        for (const arrivals of i === 0 ? [order, ...withDuplicate(order)] : [order]) {
          for (let after = -1; after < arrivals.length; after++) {
            for (const kept of after === -1 ? [1] : [0, 1]) {
              expect(arrive(template, arrivals, { after, kept })).toBe(whole);
              cases++;
            }
          }
        }
      }
    }
    expect(cases).toBe(24 * 9 + 24 * 10 * 11 + 24 * 9);
    process.stdout.write(`small scope: ${cases} orders of four arrivals with duplicates and a crash\n`);
  },
);

function duplicates(history: History): History[] {
  return history.flatMap((sequence, replica) => withDuplicate(sequence).map((it) => history.toSpliced(replica, 1, it)));
}

/** The scenario's changes, each write made by a store that has all before it. */
function makeArrivals({ makers, writes }: Scenario): Change[] {
  const stores = REPLICAS.map((i) => openStore(scratch.newPath(), i + 1, WORLD_SCHEMA));
  const wallMs = 1_790_000_000_000;
  const changes = writes.flatMap((write, i) => {
    const [outcome] = stores[makers[i] ?? 0]?.commit([write("", BigInt(wallMs) << 16n)], wallMs) ?? [];
    const change = outcome?.ok === true ? outcome.change : undefined;
    for (const store of i % 2 === 0 ? stores : []) if (change !== undefined) store.apply([change]);
    return change === undefined ? [] : [change];
  });
  for (const store of stores) store.close();
  expect(changes.length).toBe(4);
  return changes;
}

/** One fresh store gets these, one by one, is checked after each, and may crash on the way; its digest in the end. */
function arrive(
  template: string,
  arrivals: readonly Change[],
  crash: { after: number; kept: number } | undefined,
): string {
  // prettier-ignore
  let path = scratch.newPath();
  copyFileSync(template, path);
  const open = (): SqliteStore => openStore(path, 9, WORLD_SCHEMA, { walAutocheckpointPages: 0 });
  let store = open();
  const synced = walBytes(path);
  let book = new Book();
  const receive = (change: Change): void => {
    store.apply([change]);
    book.apply(change);
    checkRows(store, book, "");
  };
  try {
    arrivals.forEach((change, i) => {
      receive(change);
      if (crash?.after !== i) return;
      const after = crashed(path, crash.kept === 0 ? synced : undefined);
      store.close();
      rmSync(path);
      path = after;
      store = open();
      if (crash.kept === 0) book = new Book(); // Remote changes are not synced: all are lost, and their holdings with them.
      checkRows(store, book, "");
      if (crash.kept === 0) expect(store.holdings().size).toBe(0);
    });
    for (const change of arrivals) if (!book.holds(change.origin, change.version)) receive(change);
    return store.digest();
  } finally {
    store.close();
    rmSync(path);
  }
}

/** The files as a crash leaves them while the database is open: all that was written, or the log cut at `walKept`. */
function crashed(path: string, walKept: number | undefined): string {
  const after = scratch.newPath();
  copyFileSync(path, after);
  if (!existsSync(`${path}-wal`)) return after;
  copyFileSync(`${path}-wal`, `${after}-wal`);
  if (walKept !== undefined) truncateSync(`${after}-wal`, walKept);
  return after;
}

function walBytes(path: string): number {
  return existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0;
}
