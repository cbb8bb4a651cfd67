/** What every batch of seeds must show, so that batches can run side by side: no finding, and every rare path gone down. */
import { describe, expect, test } from "vitest";
import { Tally } from "../coverage/tally.js";
import { failureText } from "../run/failure.js";
import { runSeed } from "../run/run-seed.js";

const SEEDS_PER_TEST = 50;

export function testSeeds(from: number, count: number): void {
  const tally = new Tally();
  describe("clusters that are healed become one again, and nothing breaks a rule on the way", () => {
    const firsts = Array.from({ length: count / SEEDS_PER_TEST }, (_, group) => from + group * SEEDS_PER_TEST);
    test.each(firsts)("seeds from %i", { timeout: 300_000 }, (first) => {
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
        const result = runSeed(seed);
        tally.add(result.paths);
        if (result.problems.length > 0) expect.fail(failureText(result));
      }
    });
  });
  test("every rare path was gone down", () => {
    expect(tally.missed()).toEqual([]);
  });
}
