/** What every batch of fleets must show, so that batches can run side by side: no finding, and every rare path gone down. */
import { describe, expect, test } from "vitest";
import { Tally } from "../../coverage/tally.js";
import { TIER_PATHS } from "../checkers/findings.js";
import { runTierSeed } from "../run/run-tier-seed.js";
import { tierFailureText } from "../run/tier-failure.js";

const SEEDS_PER_TEST = 100;

export function testTierSeeds(from: number, count: number): void {
  const tally = new Tally(TIER_PATHS);
  describe("the tiers of a fleet that is healed agree again, and break no rule on the way", () => {
    const firsts = Array.from({ length: count / SEEDS_PER_TEST }, (_, group) => from + group * SEEDS_PER_TEST);
    test.each(firsts)("seeds from %i", { timeout: 300_000 }, (first) => {
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
        const result = runTierSeed(seed);
        tally.add(result.paths);
        if (result.problems.length > 0) expect.fail(tierFailureText(result));
      }
    });
  });
  test("every rare path was gone down", () => {
    expect(tally.missed()).toEqual([]);
  });
}
