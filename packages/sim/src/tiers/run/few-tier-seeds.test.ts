/** A few fleets, quick enough for every change: the bugs of the tiers that `npm run mutants` plants must not pass them. */
import { expect, test } from "vitest";
import { shrinkPlan } from "../../shrink/shrink.js";
import { parseTierPlan } from "../plan/tier-plan-text.js";
import { runTierSeed } from "./run-tier-seed.js";

const SEEDS = 60;

test("the first seeds pass", { timeout: 120_000 }, () => {
  for (let seed = 1; seed <= SEEDS; seed++) expect(runTierSeed(seed).problems).toEqual([]);
});

test("the same seed gives the same trace", { timeout: 60_000 }, () => {
  for (const seed of [1, 7, 42]) expect(runTierSeed(seed).traceHash).toBe(runTierSeed(seed).traceHash);
  expect(runTierSeed(1).traceHash).not.toBe(runTierSeed(2).traceHash);
});

test("a plan goes through text, and is cut down to the faults that it takes", { timeout: 60_000 }, () => {
  const { plan } = runTierSeed(1);
  const hasFlap = (smaller: typeof plan): boolean => smaller.faults.some(({ fault }) => fault.kind === "flap");
  const wanted = {
    ...plan,
    faults: [...plan.faults, { atMs: 9000, fault: { kind: "flap", region: 0, times: 2 } as const }],
  };
  const shrunk = shrinkPlan(wanted, hasFlap, { simpler: [], runsMax: 100 });
  expect(shrunk.plan.faults).toHaveLength(1);
  const again = parseTierPlan(JSON.stringify(shrunk.plan));
  expect(runTierSeed(1, again).problems).toEqual([]);
});
