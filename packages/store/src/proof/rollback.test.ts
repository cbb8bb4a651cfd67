/**
 * Why a rollback needs a generation, new identities and a fence: five copies, 100 poison writes, one member that was away. Each
 * simpler way brings the poison back, which shows that this test can fail.
 */
import { copyFileSync } from "node:fs";
import { hlcFromMs, must, Ranges, Rng, type Write } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { adoptImage } from "../adopt-image.js";
import { type ImageFacts, takeImage } from "../database/image.js";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const MEMBERS = 5;
const POISON = 100;
const WALL_MS = 1_790_000_000_000;
const STRAGGLER = 4;

const scratch = new Scratch("rollback");
afterAll(() => scratch.remove());

/** A member: its file, and the store on it. */
interface Member {
  path: string;
  store: SqliteStore;
}

let members: Member[] = [];
let image = "";
let facts: ImageFacts;
let wallMs = WALL_MS;
let databases = 100;

const put = (id: string, v: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v } }] });

function write(at: number, id: string, v: string): void {
  const [outcome] = storeOf(at).commit([put(id, v)], wallMs++);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
}

function storeOf(at: number): SqliteStore {
  const member = members[at];
  if (member === undefined) throw new Error(`no member ${at}`);
  return member.store;
}

/** Members of one generation talk to each other until nothing is news, in any order. */
function gossip(among: readonly number[], rng: Rng): void {
  for (let round = 0; round < 4; round++) {
    for (const from of rng.shuffle([...among])) {
      for (const to of rng.shuffle([...among])) if (from !== to) send(storeOf(from), storeOf(to));
    }
  }
}

function send(from: SqliteStore, to: SqliteStore): void {
  if (from.cluster.generation !== to.cluster.generation) return; // A greeting is refused.
  for (const [origin, { head }] of from.holdings()) {
    const had = to.holdings().get(origin)?.head ?? 0;
    if (head <= had) continue;
    const { changes, empty } = from.extract(origin, Ranges.of(had + 1, head), Infinity);
    to.apply(changes, [{ origin, versions: empty }], from.basis());
  }
}

const all = [0, 1, 2, 3, 4];
const poisonRows = (): number =>
  members.reduce((sum, { store }) => sum + Number(store.read("SELECT count(*) FROM t WHERE v = 'poison'")[0]?.[0]), 0);
const areEqual = (): boolean => new Set(members.map(({ store }) => store.digest())).size === 1;

/** Puts a copy of the image in a member's place, prepared by `adopt`, under a new id unless told otherwise. */
function restore(at: number, adopt: (path: string) => void, ids: "old" | "new" = "new"): void {
  const { origin } = storeOf(at);
  storeOf(at).close();
  const path = scratch.newPath();
  copyFileSync(image, path);
  adopt(path);
  const db = ids === "old" ? origin.slice(32) : (databases++).toString(16).padStart(16, "e");
  members[at] = { path, store: openStore(path, at + 1, SCHEMA, { newDbId: () => db }) };
}

const rewind = (path: string): void => adoptImage(path, { cluster: "iad", digest: facts.digest, generation: 1 });
const opened = (path: string): void => {
  adoptImage(path, { cluster: "iad", digest: facts.digest, generation: 2, floor: hlcFromMs(wallMs) });
};

/** The straggler calls itself a member of the new generation, and keeps what it has. */
function adoptGenerationOnly(at: number): void {
  const { path } = must(members[at], "a member");
  storeOf(at).close();
  const db = new Database(path);
  db.prepare("UPDATE _patina_meta SET value = '2' WHERE key = 'generation'").run();
  db.close();
  members[at] = { path, store: openStore(path, at + 1, SCHEMA) };
}

beforeEach(() => {
  const rng = new Rng(1);
  wallMs = WALL_MS;
  members = all.map((at) => {
    const path = scratch.newPath();
    return { path, store: openStore(path, at + 1, SCHEMA) };
  });
  for (let i = 0; i < 50; i++) write(i % MEMBERS, `k${i}`, "good");
  gossip(all, rng);
  image = scratch.newPath();
  facts = takeImage(must(members[0], "a member").path, image);
  for (let i = 0; i < POISON; i++) write(i % 2, `k${i}`, "poison");
  gossip(all, rng); // It has spread everywhere, to the straggler too, before that is cut off.
  return () => {
    for (const { store } of members) store.close();
  };
});

function goOn(): void {
  const rng = new Rng(2);
  const others = all.filter((at) => at !== STRAGGLER);
  gossip(others, rng);
  for (const at of others) write(at, `new-${at}`, "good");
  gossip(all, rng);
}

describe("what is simpler brings the poison back", () => {
  test("one member is restored, under its old id", () => {
    restore(0, rewind, "old");
    goOn();
    expect(poisonRows()).toBeGreaterThan(POISON / 2);
  });

  test("all but the straggler are restored, under their old ids: they never even agree again", () => {
    for (const at of [0, 1, 2, 3]) restore(at, rewind, "old");
    goOn();
    expect(poisonRows()).toBeGreaterThan(POISON / 2);
    expect(areEqual()).toBe(false);
  });

  test("all but the straggler are restored, under new ids", () => {
    for (const at of [0, 1, 2, 3]) restore(at, rewind);
    goOn();
    expect(poisonRows()).toBeGreaterThan(POISON / 2);
  });

  test("a generation that is checked at the greeting only, by a straggler that takes it on", () => {
    for (const at of [0, 1, 2, 3]) {
      restore(at, (path) => adoptImage(path, { cluster: "iad", digest: facts.digest, generation: 2 }));
    }
    adoptGenerationOnly(STRAGGLER);
    goOn();
    expect(poisonRows()).toBeGreaterThan(POISON / 2);
  });
});

describe("a generation with a fence", () => {
  test("keeps it out, even from a straggler that calls itself a member", () => {
    for (const at of [0, 1, 2, 3]) restore(at, opened);
    adoptGenerationOnly(STRAGGLER);
    write(STRAGGLER, "away", "poison");
    goOn();
    for (const at of [0, 1, 2, 3]) {
      expect(storeOf(at).read("SELECT count(*) FROM t WHERE v = 'poison'")).toEqual([[0n]]);
      expect(storeOf(at).quarantined(undefined, 1)[0]?.reason).toMatch(/this generation began/);
      expect(storeOf(at).read("SELECT count(*) FROM t WHERE id LIKE 'new-%'")).toEqual([[4n]]);
    }
  });

  test("and once the straggler has begun anew, all are equal, with every new write and no poison", () => {
    for (const at of all) restore(at, opened);
    goOn();
    expect(poisonRows()).toBe(0);
    expect(areEqual()).toBe(true);
    expect(storeOf(STRAGGLER).read("SELECT count(*) FROM t")).toEqual([[54n]]);
    for (const { store } of members) expect(store.quarantinedCount()).toBe(0);
  });

  test("a writer nobody knew when the checkpoint was taken is kept out by the floor alone", () => {
    const path = scratch.newPath();
    const late = openStore(path, 9, SCHEMA);
    late.commit([put("late", "poison")], WALL_MS + 500);
    wallMs = WALL_MS + 1000;
    for (const at of all) restore(at, opened);
    const { changes } = late.extract(late.origin, Ranges.of(1, 1), Infinity);
    storeOf(0).apply(changes);
    expect(poisonRows()).toBe(0);
    late.commit([put("later", "good")], WALL_MS + 5000);
    storeOf(0).apply(late.extract(late.origin, Ranges.of(2, 2), Infinity).changes);
    expect(storeOf(0).read("SELECT v FROM t WHERE id = 'later'")).toEqual([["good"]]);
    late.close();
  });
});
