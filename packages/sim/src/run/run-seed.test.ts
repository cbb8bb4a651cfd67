/** Runs repeat exactly, bugs between agent and store are caught, and what is printed of them is as small as it gets. */
import {
  type Change,
  type EmptyVersions,
  type Heads,
  holdAlso,
  type Holding,
  type Holdings,
  NO_HOLDING,
  Ranges,
  type Rng,
} from "@patina/base";
import type { StorePort } from "@patina/agent";
import { expect, test } from "vitest";
import { parsePlan } from "../plan/plan-text.js";
import { shrinkFailure } from "./failure.js";
import { runSeed } from "./run-seed.js";
import type { WrapStore } from "../machine/process.js";

test("the same seed gives the same trace", { timeout: 120_000 }, () => {
  for (const seed of [1, 7, 42, 99]) expect(runSeed(seed).traceHash).toBe(runSeed(seed).traceHash);
  expect(runSeed(1).traceHash).not.toBe(runSeed(2).traceHash);
});

/** A store that tells the truth but for what a planted bug overrides. */
function withBug(store: StorePort, bug: Partial<StorePort>): StorePort {
  return {
    origin: store.origin,
    cluster: store.cluster,
    commit: bug.commit ?? ((writes, wallMs) => store.commit(writes, wallMs)),
    apply: bug.apply ?? ((changes, empties, owed) => store.apply(changes, empties, owed)),
    basis: bug.basis ?? (() => store.basis()),
    highWater: bug.highWater ?? (() => store.highWater()),
    holdings: bug.holdings ?? (() => store.holdings()),
    extract: bug.extract ?? ((origin, wanted, bytesMax) => store.extract(origin, wanted, bytesMax)),
    snapshot: bug.snapshot ?? ((after, bytesMax) => store.snapshot(after, bytesMax)),
    join: bug.join ?? ((changes, owed) => store.join(changes, owed)),
    quarantinedIn: bug.quarantinedIn ?? ((origin) => store.quarantinedIn(origin)),
    comparableDigest: bug.comparableDigest ?? (() => store.comparableDigest()),
    members: store.members,
    debts: store.debts,
    get isWhole() {
      return store.isWhole;
    },
    get isDurable() {
      return store.isDurable;
    },
    makeDurable: bug.makeDurable ?? (() => store.makeDurable()),
    noteStable: bug.noteStable ?? ((heads, before) => store.noteStable(heads, before)),
  };
}

/** Marks changes as seen before they are committed, and now and then fails to commit them. */
const holdingsBeforeCommit: WrapStore = (store, rng) => {
  const seen = new Map<string, Holding>();
  const holdings = (): Holdings => {
    const all = new Map(store.holdings());
    for (const [origin, holding] of seen) {
      if ((all.get(origin)?.head ?? 0) < holding.head) all.set(origin, holding);
    }
    return all;
  };
  const apply = (changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads) => {
    for (const { origin, version } of changes) {
      seen.set(origin, holdAlso(holdings().get(origin) ?? NO_HOLDING, Ranges.of(version, version)));
    }
    return rng.chance(0.1)
      ? { applied: 0, quarantined: [], forked: [], rows: [], conflicts: [] }
      : store.apply(changes, empties, owed);
  };
  return withBug(store, { apply, holdings });
};

/** Calls versions empty that still say something. */
const emptyTooSoon: WrapStore = (store) =>
  withBug(store, {
    extract: (origin, wanted, bytesMax) => {
      const { changes, empty } = store.extract(origin, wanted, bytesMax);
      const [first, ...rest] = changes;
      if (first === undefined) return { changes, empty };
      return { changes: rest, empty: empty.union(Ranges.of(first.version, first.version)) };
    },
  });

/** Loses the last row of a change now and then while applying it. */
const tornApply: WrapStore = (store, rng: Rng) =>
  withBug(store, {
    apply: (changes, empties, owed) => {
      const torn = changes.filter(() => !rng.chance(0.05));
      const lost = changes.filter((change) => !torn.includes(change));
      const asEmpty = lost.map(({ origin, version }) => ({ origin, versions: Ranges.of(version, version) }));
      return store.apply(torn, [...empties, ...asEmpty], owed);
    },
  });

/** Forgets what was deleted as soon as it holds it itself, whoever else does not. */
const forgetsTooSoon: WrapStore = (store) =>
  withBug(store, {
    makeDurable: () => {
      store.makeDurable();
      const heads = new Map([...store.holdings()].map(([origin, { head }]) => [origin, head]));
      store.noteStable(heads, store.highWater() + 1n);
    },
  });

const BUGS: [string, WrapStore][] = [
  ["holdings advanced before the commit", holdingsBeforeCommit],
  ["a version called empty that is not", emptyTooSoon],
  ["a change held but not applied", tornApply],
  ["a deletion forgotten too soon", forgetsTooSoon],
];

test.each(BUGS)("planted bug: %s is caught", { timeout: 120_000 }, (_name, wrapStore) => {
  const caught = [1, 2, 3, 4, 5, 6, 7, 8].filter((seed) => runSeed(seed, { wrapStore }).problems.length > 0);
  expect(caught.length).toBeGreaterThan(0);
});

test("a plan that fails is cut down to what it takes", { timeout: 120_000 }, () => {
  const wrapStore = tornApply;
  const failed = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => runSeed(seed, { wrapStore })).find(({ problems, plan }) => problems.length > 0 && plan.faults.length > 3); // prettier-ignore
  expect(failed).toBeDefined();
  if (failed === undefined) return;
  const { plan } = shrinkFailure(failed, wrapStore);
  expect(plan.faults.length).toBeLessThan(failed.plan.faults.length / 2);
  expect(plan.writes).toBeLessThan(failed.plan.writes);
  const again = runSeed(failed.seed, { plan: parsePlan(JSON.stringify(plan)), wrapStore });
  expect(again.problems.length).toBeGreaterThan(0);
});
