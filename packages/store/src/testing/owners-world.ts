/**
 * Workers that own rows, each beside what the book says it must show, may write, and must be told. Nothing of the store's
 * own rules is used: a row's owner, epoch and cut are read from the bytes of the changes that were applied.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { copyFileSync, existsSync, statSync, truncateSync } from "node:fs";
import { type Change, heldVersions, must, type OwnershipConflict, type Range, Ranges, type SqlValue, type Write } from "@patina/base"; // prettier-ignore
import type { SqliteStore } from "../sqlite-store.js";
import { Book, type BookRow, idOf, isGreater, readBody } from "./book.js";
import { openStore, type Scratch, scrubbed } from "./scratch-store.js";

const SCHEMA = `
-- @owner worker
CREATE TABLE machines (id TEXT NOT NULL PRIMARY KEY, worker TEXT, n INTEGER NOT NULL DEFAULT 0);`;
const WALL_MS = 1_790_000_000_000;

/** A row's owner as its state says it; empty when it is nobody's. */
function ownerIn({ cells, owner }: BookRow): string {
  return String((cells === undefined ? owner : cells.get("worker")) ?? "");
}

/** What a member has applied: the book, by row the highest epoch of any state, and the rows that two owners claim. */
class Seen {
  readonly book: Book;
  readonly epochs: Map<string, number>;
  readonly doubtful: Set<string>;

  constructor(book = new Book(), epochs = new Map<string, number>(), doubtful = new Set<string>()) {
    this.book = book;
    this.epochs = epochs;
    this.doubtful = doubtful;
  }

  clone(): Seen {
    return new Seen(this.book.clone(), new Map(this.epochs), new Set(this.doubtful));
  }

  apply(change: Change): void {
    if (this.book.holds(change.origin, change.version)) return;
    for (const row of readBody(change)) this.#meet(row);
    this.book.apply(change);
  }

  /** Two live states of one epoch with two owners are a doubt, until another epoch or the row's end. */
  #meet(row: BookRow): void {
    const id = idOf(row);
    const [epoch] = row.stamp;
    this.epochs.set(id, Math.max(epoch, this.epochs.get(id) ?? 0));
    const here = this.book.winners.get(id);
    const isTwo = here?.stamp[0] === epoch && ownerIn(here) !== ownerIn(row);
    if (isTwo && here.cells !== undefined && row.cells !== undefined) this.doubtful.add(id);
    const wins = here === undefined || isGreater(row.stamp, here.stamp);
    if (wins && (here?.stamp[0] !== epoch || row.cells === undefined)) this.doubtful.delete(id);
  }
}

export interface Worker {
  readonly name: string;
  readonly index: number;
  path: string;
  store: SqliteStore;
  seen: Seen;
  syncedBytes: number;
  /** What it may be after a power loss. */
  survivors: Seen[];
  /** Of its own writes, those it was told were fenced: row and version. */
  readonly told: Set<string>;
}

/** What a write asks for: a state of the row, undefined for its end, by whom it is asked. */
export interface Wish {
  readonly id: string;
  readonly owner?: string;
  readonly n?: bigint;
  readonly isEnd?: boolean;
  readonly isClaim?: boolean;
}

export class OwnersWorld {
  readonly workers: Worker[];
  readonly log: Change[] = [];
  refused = 0;
  #wallMs = WALL_MS;
  readonly #scratch: Scratch;

  constructor(names: readonly string[], scratch: Scratch) {
    this.#scratch = scratch;
    this.workers = names.map((name, index) => {
      const path = scratch.newPath();
      const store = open(path, index, name);
      const synced = { syncedBytes: walBytes(path), survivors: [new Seen()] };
      return { name, index, path, store, seen: new Seen(), ...synced, told: new Set<string>() };
    });
  }

  close(): void {
    for (const { store } of this.workers) store.close();
  }

  /** A local write, refused exactly when the row is another's, and in the epoch and with the cut that the book says. */
  write(worker: Worker, wish: Wish, write: Write, skewMs: number): void {
    const { store, seen, name } = worker;
    const last = seen.book.winners.get(idOf({ table: "machines", key: [wish.id] }));
    const isThere = last?.cells !== undefined;
    const owner = last === undefined ? "" : ownerIn(last);
    const next = wish.isEnd === true ? owner : (wish.owner ?? owner);
    const n = wish.n ?? (last?.cells?.get("n") as bigint | undefined) ?? 0n;
    const isForced = wish.isClaim === true && last !== undefined && seen.doubtful.has(idOf(last));
    const isSame = isThere && wish.isEnd !== true && next === owner && n === (last.cells?.get("n") ?? 0n);
    const isOthers = isThere && owner !== "" && owner !== name && wish.isClaim !== true;
    const isForOthers = next !== "" && next !== name && !(isThere && owner === name) && wish.isEnd !== true;
    this.#wallMs += 3;
    const outcome = must(store.commit([write], this.#wallMs + skewMs)[0], "an outcome");
    const isMissing = !isThere && write.kind === "handoffs";
    const hasNothing = !isThere && (wish.isEnd === true || write.kind === "statements");
    if (isMissing || (!hasNothing && !(isSame && !isForced) && (isOthers || isForOthers))) {
      this.refused++;
      return equal(outcome.ok ? "ok" : outcome.error.code, isMissing ? "row-absent" : "not-owner");
    }
    if (!outcome.ok) throw outcome.error;
    if (outcome.change === undefined) return ok(hasNothing || (isSame && !isForced), "it did nothing");
    const [row] = readBody(outcome.change);
    const begins = last !== undefined && (next !== owner || isForced);
    equal(row && ownerIn(row), next, "owner");
    equal(row?.stamp[0], begins ? last.stamp[0] + 1 : (last?.stamp[0] ?? 0), "epoch");
    deepEqual(row?.cut, begins ? last.stamp.slice(1) : last?.cut, "cut");
    seen.apply(outcome.change);
    this.log.push(outcome.change);
    this.#markSynced(worker);
  }

  deliver(worker: Worker, changes: readonly Change[]): void {
    const { conflicts } = worker.store.apply(changes);
    for (const change of changes) worker.seen.apply(change);
    this.#noteTold(worker, conflicts);
  }

  /** What `from` holds and the worker lacks, read back from rows. */
  repair(worker: Worker, from: Worker): void {
    for (const [origin, versions] of from.seen.book.held) {
      const missing = [...versions].filter((version) => !worker.seen.book.holds(origin, version));
      if (origin === worker.store.origin || missing.length === 0) continue;
      const wanted = Ranges.from(missing.map((version): Range => [version, version]));
      const { changes, empty } = from.store.extract(origin, wanted, 1 << 20);
      const { conflicts } = worker.store.apply(changes, [{ origin, versions: empty }]);
      for (const change of changes) worker.seen.apply(change);
      for (const version of missing) if (empty.has(version)) worker.seen.book.hold(origin, version);
      this.#noteTold(worker, conflicts);
    }
  }

  /** The process ends at once, or power goes and takes some of what was not synced. */
  crash(worker: Worker, keptShare: number): void {
    const written = walBytes(worker.path);
    const after = this.#scratch.newPath();
    copyFileSync(worker.path, after);
    if (written > 0) {
      copyFileSync(`${worker.path}-wal`, `${after}-wal`);
      const kept = worker.syncedBytes + Math.floor((written - worker.syncedBytes) * keptShare);
      truncateSync(`${after}-wal`, Math.max(0, kept));
    }
    worker.store.close();
    worker.path = after;
    worker.store = open(after, worker.index, worker.name);
    const held = [...worker.store.holdings()].map(([origin, holding]) => `${origin}:${heldText(holding)}`);
    const survivor = worker.survivors.findLast(({ book }) => book.heldText() === held.sort().join(" "));
    worker.seen = must(survivor, "a state that was once").clone();
    this.#markSynced(worker);
  }

  /** Rows, epochs and doubts are those of the greatest stamps applied. */
  check({ store, seen, name }: Worker): void {
    const live = [...seen.book.winners.values()].filter(({ cells }) => cells !== undefined);
    const expected = live.map((row) => [row.key[0], ownerIn(row), row.cells?.get("n") ?? 0n, BigInt(row.stamp[0])]);
    const sql = "SELECT id, coalesce(worker, ''), n, _patina_epoch FROM _patina_rows_machines ORDER BY id";
    deepEqual(
      store.read(sql),
      expected.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      `rows of ${name}`,
    );
    for (const [id, epoch] of seen.epochs) {
      const shown = must(seen.book.winners.get(id), "a row").stamp[0];
      ok(shown >= epoch, `a state of ${id} shows that is of an epoch before ${epoch}`);
    }
    deepEqual(store.owners.conflicts().doubtful.map(idOf).sort(), [...seen.doubtful].sort(), `doubtful rows of ${name}`); // prettier-ignore
  }

  /** Everything has arrived everywhere: one owner a row, and whoever wrote in vain has been told. */
  settle(): void {
    for (const worker of this.workers) this.deliver(worker, this.log.toReversed());
    for (const worker of this.workers) this.check(worker);
    const [first, ...others] = this.workers;
    for (const { store, path } of this.workers) {
      equal(store.digest(), first?.store.digest(), "digests");
      equal(scrubbed(path), "", "scrub found");
    }
    for (const { store } of others) deepEqual(owners(store), first && owners(store), "owners");
    this.#checkTold();
  }

  /** The rows of the log, by row and epoch. */
  #states(): Map<string, BookRow[]> {
    const states = new Map<string, BookRow[]>();
    for (const row of this.log.flatMap(readBody)) {
      const epoch = `${idOf(row)}@${row.stamp[0]}`;
      states.set(epoch, [...(states.get(epoch) ?? []), row]);
    }
    return states;
  }

  #checkTold(): void {
    const states = this.#states();
    for (const [epoch, rows] of states) {
      const last = rows.reduce((a, b) => (isGreater(a.stamp, b.stamp) ? a : b));
      const next = states.get(epoch.replace(/@.*/, `@${last.stamp[0] + 1}`)) ?? [];
      const writer = must(this.workers.find(({ store }) => store.origin === last.stamp[2]), "a writer"); // prettier-ignore
      const isUnseen = next.every(({ cut }) => isGreater(last.stamp, [last.stamp[0], ...must(cut, "a cut")]));
      if (next.length === 0 || !isUnseen || !["", writer.name].includes(ownerIn(last))) continue;
      ok(writer.told.has(`${idOf(last)}:${last.stamp[3]}`), `${writer.name} was not told of ${idOf(last)}@${last.stamp.join("/")}`); // prettier-ignore
    }
    for (const { store, told, name } of this.workers) {
      for (const fenced of store.owners.conflicts().fenced) {
        const id = idOf(fenced);
        ok(told.has(`${id}:${fenced.version}`), "what is recorded was told");
        ok(isInVain(states, id, fenced, name), `${name} was told in error of ${id}, version ${fenced.version}`);
      }
    }
  }

  #noteTold(worker: Worker, conflicts: readonly OwnershipConflict[]): void {
    worker.survivors.push(worker.seen.clone());
    for (const it of conflicts) if (it.kind === "fenced" && it.isOurs) worker.told.add(`${idOf(it)}:${it.version}`);
  }

  #markSynced(worker: Worker): void {
    worker.syncedBytes = walBytes(worker.path);
    worker.survivors = [worker.seen.clone()];
  }
}

/** Did the write lose to a state that had not seen it? */
function isInVain(
  states: ReadonlyMap<string, readonly BookRow[]>,
  id: string,
  { origin, version, epoch }: { readonly origin: string; readonly version: number; readonly epoch: number },
  name: string,
): boolean {
  const all = [...states].flatMap(([at, rows]) => (at.startsWith(`${id}@`) ? rows : []));
  const lost = must(all.find(({ stamp }) => stamp[2] === origin && stamp[3] === version), "the write"); // prettier-ignore
  const winners = states.get(`${id}@${epoch}`) ?? [];
  const [of] = lost.stamp;
  const rivals = (states.get(`${id}@${of}`) ?? []).filter(({ stamp }) => stamp[2] !== origin);
  const hasRival = rivals.some((row) => ownerIn(row) !== ownerIn(lost) || isGreater(row.stamp, lost.stamp));
  if (of === epoch) return hasRival;
  if (of < epoch - 1) return ["", name].includes(ownerIn(lost)); // Nobody here knows the cuts in between.
  const isUnseen = winners.some(({ cut }) => isGreater(lost.stamp, [of, ...must(cut, "a cut")]));
  return isUnseen || hasRival;
}

function owners(store: SqliteStore): SqlValue[][] {
  return store.read("SELECT id, worker FROM machines ORDER BY id");
}

function open(path: string, index: number, worker: string): SqliteStore {
  return openStore(path, index + 1, SCHEMA, { worker, walAutocheckpointPages: 0 });
}

function heldText(holding: Parameters<typeof heldVersions>[0]): string {
  const spans = heldVersions(holding).spans;
  return spans.flatMap(([low, high]) => Array.from({ length: high - low + 1 }, (_, i) => low + i)).join();
}

function walBytes(path: string): number {
  return existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0;
}
