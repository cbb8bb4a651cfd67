/**
 * What every store must do that an agent may run on, whatever it stands on. Each case throws when it fails. The table is
 * `t (id TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL DEFAULT '')`.
 */
import { assert, type Change, heldVersions, must, Ranges, type RowWrite, type WriteOutcome } from "@patina/base";
import type { StorePort } from "../ports.js";

export interface StoreSubject {
  /** A fresh store of node `n`, of the same cluster as the others. */
  open(n: number): StorePort;
  /** The store as it is after its process has ended and come back. The old object is used no more. */
  reopen(store: StorePort): StorePort;
  /** The rows of `t` as `id=value`, sorted. */
  rows(store: StorePort): string[];
}

export interface StoreCase {
  readonly sentence: string;
  readonly run: (subject: StoreSubject) => void;
}

const WALL_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const FAR = BigInt(WALL_MS + HOUR_MS) << 16n;

function equal(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [textOf(found), textOf(expected)];
  assert(a === b, `${what}: found ${a}, expected ${b}`);
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, it: unknown) => (typeof it === "bigint" ? `${it}n` : it)) ?? "undefined";
}

const row = (id: string, value: string, more: Partial<RowWrite> = {}): RowWrite => ({ table: "t", values: { id, value }, ...more }); // prettier-ignore
const gone = (id: string, more: Partial<RowWrite> = {}): RowWrite => row(id, "", { deleted: true, ...more });

function put(store: StorePort, rows: readonly RowWrite[], wallMs = WALL_MS): Change | undefined {
  const outcome = must(store.commit([{ kind: "rows", rows }], wallMs)[0], "an outcome");
  assert(outcome.ok, "a write that succeeds");
  return outcome.change;
}

/** A write that must change something. */
const made = (store: StorePort, ...rows: RowWrite[]): Change => must(put(store, rows), "a change");
const give = (store: StorePort, ...changes: Change[]): number => store.apply(changes, [], new Map()).applied;
const held = (store: StorePort): string[] =>
  [...store.holdings()].map(([of, holding]) => `${of}:${heldVersions(holding).toString()}`).sort();

/** All of them show the same, hold the same and have the same digest. */
function equalStores(subject: StoreSubject, first: StorePort, ...others: readonly StorePort[]): void {
  for (const other of others) {
    equal(subject.rows(other), subject.rows(first), "rows");
    equal(held(other), held(first), "holdings");
    equal(other.comparableDigest(), first.comparableDigest(), "digest");
  }
}

/** What a fresh store becomes of all that is read back from this one, `bytesMax` at a time. */
function rebuilt(from: StorePort, into: StorePort, bytesMax: number): StorePort {
  for (const [origin, holding] of from.holdings()) {
    for (let rest = heldVersions(holding); !rest.isEmpty;) {
      const { changes, empty } = from.extract(origin, rest, bytesMax);
      const answered = empty.union(Ranges.from(changes.map(({ version }) => [version, version] as const)));
      assert(!answered.isEmpty && answered.subtract(rest).isEmpty, "some of what was asked for, and nothing else");
      into.apply(changes, [{ origin, versions: empty }], from.basis());
      rest = rest.subtract(answered);
    }
  }
  return into;
}

/** Joins a snapshot of one store into another, a piece at a time, and holds what the first held when it began. */
function bootstrapped(from: StorePort, into: StorePort, bytesMax: number, between: () => void = () => undefined): void {
  const began = [...from.holdings()].map(([origin, holding]) => ({ origin, versions: heldVersions(holding) }));
  let after: Uint8Array | undefined;
  do {
    const { changes, next } = from.snapshot(after, bytesMax);
    const before = held(into);
    into.join(changes, from.basis());
    equal(held(into), before, "holdings while a snapshot is joined");
    after = next;
    between();
  } while (after !== undefined);
  into.apply([], began, new Map());
}

export const STORE_CASES: readonly StoreCase[] = [
  {
    sentence: "a write shows, is held, and is one version with one stamp",
    run: (subject) => {
      const store = subject.open(1);
      equal([store.holdings().size, store.highWater(), subject.rows(store)], [0, 0n, []], "a fresh store");
      const change = made(store, row("a", "1"), row("b", "2"));
      equal([change.origin, change.version], [store.origin, 1], "the change");
      equal(subject.rows(store), ["a=1", "b=2"], "rows");
      equal(held(store), [`${store.origin}:1`], "holdings");
      equal(store.highWater(), change.hlc, "high water");
    },
  },
  {
    sentence: "versions count up without gaps, and stamps rise when the clock goes back and over a restart",
    run: (subject) => {
      let store = subject.open(1);
      const changes: Change[] = [];
      for (const wallMs of [WALL_MS, WALL_MS - HOUR_MS, WALL_MS, WALL_MS, WALL_MS - 2 * HOUR_MS]) {
        changes.push(must(put(store, [row("a", String(changes.length))], wallMs), "a change"));
        store = subject.reopen(store);
      }
      equal(changes.map(({ version }) => version), [1, 2, 3, 4, 5], "versions"); // prettier-ignore
      changes.reduce((last, next) => {
        assert(next.hlc > last.hlc, "a stamp greater than the last");
        return next;
      });
    },
  },
  {
    sentence: "a write that changes nothing is no version, and changes neither holdings nor digest",
    run: (subject) => {
      const store = subject.open(1);
      made(store, row("a", "1"));
      const before = [held(store), store.comparableDigest(), store.highWater()];
      equal(put(store, [row("a", "1")]), undefined, "the same again");
      equal(put(store, [gone("nobody")]), undefined, "deleting what is not there");
      equal([held(store), store.comparableDigest(), store.highWater()], before, "what it was");
    },
  },
  {
    sentence: "a write that fails is undone by itself, and its neighbours get versions without a gap",
    run: (subject) => {
      const store = subject.open(1);
      const bad: RowWrite = { table: "nowhere", values: { id: "x" } };
      const rows = [[row("a", "1")], [row("x", "1"), bad], [row("b", "1")]];
      const outcomes = store.commit(rows.map((it) => ({ kind: "rows", rows: it })), WALL_MS); // prettier-ignore
      const said = (it: WriteOutcome): unknown => (it.ok ? it.change?.version : it.error.code);
      equal(outcomes.map(said), [1, "table-unknown", 2], "outcomes");
      equal(subject.rows(store), ["a=1", "b=1"], "rows");
    },
  },
  {
    sentence: "of two writes of one row in one transaction the later counts",
    run: (subject) => {
      const [store, peer] = [subject.open(1), subject.open(2)];
      give(peer, made(store, row("a", "1"), gone("a"), row("a", "2")));
      equal(subject.rows(store), ["a=2"], "rows");
      equalStores(subject, store, peer);
    },
  },
  {
    sentence: "in any order, with duplicates, changes make the same state",
    run: (subject) => {
      const [a, b, c] = [subject.open(1), subject.open(2), subject.open(3)];
      const changes = [made(a, row("k", "a"), row("l", "a")), made(b, row("k", "b")), made(a, gone("l")), made(b, row("m", "b"))]; // prettier-ignore
      const [first, second, third, last] = changes as [Change, Change, Change, Change];
      equal(give(a, last, second, last), 2, "applied");
      equal(give(b, third), 1, "applied");
      equal(give(b, first, third), 1, "applied");
      equal(give(c, ...changes.toReversed()), 4, "applied");
      equal(give(c, ...changes), 0, "applied again");
      equalStores(subject, a, b, c);
      equal(subject.rows(c), ["k=b", "m=b"], "rows"); // Equal clocks: the greater origin wins.
    },
  },
  {
    sentence: "a version that came before the one under it leaves a gap, until that comes",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const changes = ["1", "2", "3", "4"].map((value) => made(a, row(value, value)));
      give(b, must(changes[3], "a change"), must(changes[1], "a change"));
      equal(held(b), [`${a.origin}:2,4`], "holdings");
      const again = subject.reopen(b);
      equal(held(again), [`${a.origin}:2,4`], "holdings after a restart");
      give(again, ...changes);
      equalStores(subject, a, again);
    },
  },
  {
    sentence: "a delete wins over older writes that come later, and a newer write over the delete",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const [insert, remove] = [made(a, row("k", "1")), made(a, gone("k"))];
      give(b, remove);
      const again = subject.reopen(b);
      give(again, insert);
      equal(subject.rows(again), [], "rows");
      give(a, made(again, row("k", "2")));
      equal(subject.rows(a), ["k=2"], "rows");
      equalStores(subject, a, again);
    },
  },
  {
    sentence: "a row with a stamp of its own is ordered by it: epoch first, then clock, whoever writes last",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const stamped = (value: string, epoch: number, hlc: bigint): RowWrite =>
        row("k", value, { stamp: { epoch, hlc } });
      const first = made(a, stamped("new", 1, FAR));
      equal(put(a, [stamped("older", 1, FAR - 1n)]), undefined, "an older stamp");
      equal(put(a, [stamped("lower", 0, FAR + 9n)]), undefined, "a lower epoch");
      const lower = made(b, stamped("lower", 0, FAR + 99n));
      give(a, lower);
      give(b, first);
      equal(subject.rows(b), ["k=new"], "rows");
      const unstamped = made(a, row("k", "by the clock"));
      give(b, unstamped);
      equal(subject.rows(b), ["k=by the clock"], "an unstamped write keeps the epoch");
      equalStores(subject, a, b);
    },
  },
  {
    sentence: "what is read back makes the same state elsewhere, whatever part is asked for at a time",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      for (let i = 0; i < 20; i++) made(a, row(`k${i % 3}`, String(i)));
      give(b, made(a, gone("k0")));
      give(a, made(b, row("k1", "b"), row("k9", "b")));
      const again = subject.reopen(a);
      for (const [n, bytesMax] of [[3, 1], [4, 40], [5, 1 << 20]] as const) equalStores(subject, again, rebuilt(again, subject.open(n), bytesMax)); // prettier-ignore
      equal(again.extract(again.origin, Ranges.of(900, 999), 100), { changes: [], empty: Ranges.empty }, "not held");
    },
  },
  {
    sentence: "a snapshot, joined in pieces of any size, makes the same state, which can be read back in turn",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      for (let i = 0; i < 12; i++) made(a, row(`k${i % 5}`, String(i)), row(`only-${i}`, "1"));
      give(b, made(a, gone("k0"), gone("only-3")));
      give(a, made(b, row("k1", "b"), row("k9", "b")));
      for (const [n, bytesMax] of [
        [3, 1],
        [4, 200],
        [5, 1 << 20],
      ] as const) {
        let other = subject.open(n);
        bootstrapped(a, other, bytesMax);
        other = subject.reopen(other);
        equalStores(subject, a, other, rebuilt(other, subject.open(n + 10), 100));
      }
    },
  },
  {
    sentence: "a snapshot of rows that change meanwhile is whole once the later versions have come, too",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      for (let i = 0; i < 9; i++) made(a, row(`k${i}`, "old"));
      const later: Change[] = [];
      const acts = [
        gone("k8"),
        row("k0", "new"),
        gone("k1"),
        row("k8", "again"),
        row("a", "first"),
        gone("k4"),
        row("k4", "x"),
      ];
      bootstrapped(a, b, 1, () => {
        const act = acts.shift();
        if (act !== undefined) later.push(made(a, act));
      });
      assert(b.comparableDigest() === undefined || later.length === 0, "no digest while versions are owed");
      give(b, ...later);
      equalStores(subject, a, b);
      equalStores(subject, a, rebuilt(b, subject.open(3), 50));
    },
  },
  {
    sentence: "a snapshot takes away what was deleted since, and brings back nothing that was",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      give(b, made(a, row("k", "1"), row("l", "1")));
      made(a, gone("k"));
      const late = made(b, row("m", "b"));
      give(a, late, made(b, gone("m")));
      bootstrapped(a, b, 1000);
      const c = subject.open(3);
      bootstrapped(b, c, 1000);
      give(c, late);
      equal([subject.rows(b), subject.rows(c)], [["l=1"], ["l=1"]], "rows");
      equalStores(subject, a, b, c);
    },
  },
  {
    sentence: "rows of a version that came in a snapshot stay its own when the version itself comes",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const rows = Array.from({ length: 150 }, (_, i) => row(`k${i}`, "1"));
      const change = made(a, ...rows);
      const { changes: piece, next } = a.snapshot(undefined, 1);
      assert(next !== undefined, "some of the version's rows");
      b.join(piece, a.basis());
      give(b, change);
      equalStores(subject, a, b);
      equalStores(subject, a, rebuilt(b, subject.open(3), 1000));
    },
  },
  {
    sentence: "empty versions are held, and say nothing",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const change = made(a, row("k", "1"));
      b.apply([], [{ origin: a.origin, versions: Ranges.of(1, 5) }], new Map());
      equal([held(b), subject.rows(b)], [[`${a.origin}:1-5`], []], "what it holds and shows");
      equal(give(b, change), 0, "a version held as empty is not taken again");
    },
  },
  {
    sentence: "a state that depends on more is not compared, over a restart, until that is held",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const [first, second] = [made(a, row("k", "1")), made(a, row("k", "2"))];
      b.apply([first], [], new Map([[a.origin, 2]]));
      equal([b.comparableDigest(), b.basis().get(a.origin)], [undefined, 2], "while it owes");
      const again = subject.reopen(b);
      equal([again.comparableDigest(), again.basis().get(a.origin)], [undefined, 2], "after a restart");
      give(again, second);
      equalStores(subject, a, again);
      assert(again.comparableDigest() !== undefined, "a digest");
    },
  },
  {
    sentence: "what was observed is never stamped below, over a restart",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      const ahead = must(put(a, [row("k", "ahead")], WALL_MS + HOUR_MS), "a change");
      give(b, ahead);
      equal(b.highWater(), ahead.hlc, "high water");
      const again = subject.reopen(b);
      equal(again.highWater(), ahead.hlc, "high water after a restart");
      give(a, made(again, row("k", "later")));
      equal(subject.rows(a), ["k=later"], "rows");
    },
  },
  {
    sentence: "everything is as it was after a restart, and holdings once given out never change",
    run: (subject) => {
      const [a, b] = [subject.open(1), subject.open(2)];
      give(a, made(b, row("x", "b")));
      const [given, text] = [a.holdings(), held(a)];
      made(a, row("y", "a"), row("z", "a"));
      made(a, gone("z"));
      const all = (store: StorePort): unknown[] => [store.origin, subject.rows(store), held(store), store.comparableDigest(), store.highWater(), [...store.basis()].map((it) => it.join(":")).sort()]; // prettier-ignore
      const before = textOf(all(a));
      equal(textOf(all(subject.reopen(a))), before, "after a restart");
      equal([...given].map(([of, holding]) => `${of}:${heldVersions(holding).toString()}`), text, "the holdings given out"); // prettier-ignore
    },
  },
];
