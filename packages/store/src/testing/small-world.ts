/**
 * Every order of a few events. Three replicas share nothing but changes, so what a replica becomes depends on its own
 * sequence of writes and arrivals alone: a history is one sequence a replica, and two runs that differ only in the order
 * of events at different replicas are one history. Histories that would need a change before it was made are left out.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { type Change, holds, must, type SqlValue, type Write } from "@patina/base";
import type { SqliteStore } from "../sqlite-store.js";
import { Book, idOf, textOf } from "./book.js";

export const WORLD_SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT 'd', n INTEGER);";
const WALL_MS = 1_790_000_000_000;

/** Write `i` is made by replica `maker[i]`, about keys that begin with `prefix`. */
export interface Scenario {
  readonly name: string;
  readonly makers: readonly number[];
  readonly writes: readonly ((prefix: string, hlc: bigint) => Write)[];
}

/** By replica, the writes in the order in which it makes or receives them; one named again is a duplicate. */
export type History = readonly (readonly number[])[];

const put = (id: string, v: string, more: object = {}): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v }, ...more }] }); // prettier-ignore
const sql = (text: string, ...params: SqlValue[]): Write => ({ kind: "statements", statements: [{ sql: text, params }] }); // prettier-ignore

const WRITES = {
  putK: (p: string) => put(`${p}k`, "from an object"),
  putBoth: (p: string) => sql("REPLACE INTO t (id, v) VALUES (?, 'both'), (?, 'both')", `${p}k`, `${p}l`),
  upsert: (p: string) => sql("INSERT INTO t (id, n) VALUES (?, 1) ON CONFLICT DO UPDATE SET n = coalesce(n, 0) + 1", `${p}k`), // prettier-ignore
  drop: (p: string) => sql("DELETE FROM t WHERE id >= ? AND id < ?", p, `${p}~`),
  move: (p: string) => sql("UPDATE OR REPLACE t SET id = ? WHERE id = ?", `${p}l`, `${p}k`),
  tieA: (p: string, hlc: bigint) => put(`${p}k`, "tie", { stamp: { epoch: 1, hlc } }),
  tieB: (p: string, hlc: bigint) => put(`${p}k`, "other tie", { stamp: { epoch: 1, hlc } }),
  bury: (p: string, hlc: bigint) => put(`${p}k`, "", { deleted: true, stamp: { epoch: 1, hlc: hlc + 5n } }),
} satisfies Record<string, (prefix: string, hlc: bigint) => Write>;

const named = (makers: readonly number[], ...names: readonly (keyof typeof WRITES)[]): Scenario => {
  return { name: names.join(" "), makers, writes: names.map((name) => WRITES[name]) };
};

/** Four writes, two of them by one replica. */
export const FOUR: readonly Scenario[] = [named([0, 0, 1, 2], "putBoth", "drop", "upsert", "putK")];
export const THREE: readonly Scenario[] = [
  named([0, 1, 2], "putBoth", "move", "drop"),
  named([0, 1, 2], "tieA", "tieB", "bury"),
];
/** What one receiver gets, made by three stores that had seen each other's earlier ones. */
export const ARRIVALS: readonly Scenario[] = [
  named([0, 1, 2, 0], "putBoth", "upsert", "drop", "putK"),
  named([2, 0, 1, 1], "tieA", "tieB", "bury", "upsert"),
];

export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

/** Every sequence with one of its elements put in once more, at any later place. */
export function withDuplicate<T>(sequence: readonly T[]): T[][] {
  return sequence.flatMap((item, i) => {
    return Array.from({ length: sequence.length - i }, (_, k) => sequence.toSpliced(i + k + 1, 0, item));
  });
}

/** Every history in which each replica makes its own writes in order and gets all the others once. */
export function histories({ makers }: Scenario): History[] {
  const all = permutations(makers.map((_, i) => i));
  const sequences = [0, 1, 2].map((replica) => {
    return all.filter((order) => isSorted(order.filter((write) => makers[write] === replica)));
  });
  const [a = [], b = [], c = []] = sequences;
  return a.flatMap((x) => b.flatMap((y) => c.map((z) => [x, y, z]))).filter((it) => schedule(it, makers) !== undefined);
}

const isSorted = (items: readonly number[]): boolean => items.every((item, i) => i === 0 || (items[i - 1] ?? 0) < item);

/** An order of all events in which nothing is received before it was made: `[replica, place]` each, or none. */
function schedule(history: History, makers: readonly number[]): [number, number][] | undefined {
  const done = history.map(() => 0);
  const made = new Set<number>();
  const order: [number, number][] = [];
  const total = history.reduce((sum, sequence) => sum + sequence.length, 0);
  while (order.length < total) {
    const replica = history.findIndex((sequence, at) => {
      const next = sequence[done[at] ?? 0];
      return next !== undefined && (makers[next] === at || made.has(next));
    });
    if (replica === -1) return undefined;
    const place = done[replica] ?? 0;
    made.add(must(history[replica]?.[place], "a write"));
    order.push([replica, place]);
    done[replica] = place + 1;
  }
  return order;
}

/** Runs histories one after another on the same three stores, each about keys of its own, and checks every step. */
export class SmallWorld {
  readonly #stores: SqliteStore[];
  readonly #reopen: (replica: number) => SqliteStore;
  #cases = 0;

  constructor(stores: readonly SqliteStore[], reopen: (replica: number) => SqliteStore) {
    this.#stores = [...stores];
    this.#reopen = reopen;
  }

  get cases(): number {
    return this.#cases;
  }

  /** `crash`: the replica is closed and opened again after the event at that place. */
  run(scenario: Scenario, history: History, crash?: { readonly replica: number; readonly place: number }): void {
    const prefix = `${this.#cases++}/`;
    const wallMs = WALL_MS + this.#cases * 1000; // Ahead of all cases before: clocks start even, and stamps may tie.
    const books = history.map(() => new Book());
    const changes = new Map<number, Change>();
    for (const [replica, place] of must(schedule(history, scenario.makers), "a possible history")) {
      const book = must(books[replica], "a book");
      const write = must(history[replica]?.[place], "a write");
      const isFirst = history[replica]?.indexOf(write) === place;
      if (scenario.makers[write] === replica && isFirst) {
        const change = this.#write(replica, scenario.writes[write]?.(prefix, BigInt(wallMs) << 16n), wallMs);
        if (change !== undefined) {
          changes.set(write, change);
          for (const row of book.apply(change)) ok(row, "a local write wins");
        }
      } else this.#receive(replica, book, changes.get(write));
      if (crash?.replica === replica && crash.place === place) this.#stores[replica] = this.#reopen(replica);
      this.#check(replica, book, prefix, changes);
    }
    const digests = this.#stores.map((store) => store.digest());
    equal(new Set(digests).size, 1, `digests differ after ${scenario.name}: ${JSON.stringify(history)}`);
  }

  #write(replica: number, write: Write | undefined, wallMs: number): Change | undefined {
    const outcome = this.#stores[replica]?.commit([must(write, "a write")], wallMs)[0];
    if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
    return outcome.change;
  }

  #receive(replica: number, book: Book, change: Change | undefined): void {
    if (change === undefined) return; // That write changed nothing where it was made.
    const expected = book.holds(change.origin, change.version) ? 0 : 1;
    equal(this.#stores[replica]?.apply([change]).applied, expected, "changes applied");
    book.apply(change);
  }

  #check(replica: number, book: Book, prefix: string, changes: ReadonlyMap<number, Change>): void {
    const store = must(this.#stores[replica], "a store");
    checkRows(store, book, prefix);
    const holdings = store.holdings();
    for (const { origin, version } of changes.values()) {
      equal(holds(holdings.get(origin), version), book.holds(origin, version), "holdings");
    }
  }
}

/** The rows under `prefix` are those of the greatest stamps. */
export function checkRows(store: SqliteStore, book: Book, prefix: string): void {
  const rows = store.read("SELECT * FROM t WHERE id >= ? AND id < ? ORDER BY id", [prefix, `${prefix}~`]);
  const live = [...book.winners.values()].filter(({ cells }) => cells !== undefined);
  const expected = live.map(({ key: [id], cells }) => [id, cells?.get("v") ?? "d", cells?.get("n") ?? null]);
  const text = (it: readonly (readonly (SqlValue | undefined)[])[]): string[] => it.map((row) => row.map(textOf).join("|")).sort(); // prettier-ignore
  deepEqual(text(rows), text(expected), live.map(idOf).join());
}
