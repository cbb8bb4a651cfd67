/** The statistics by hand-made numbers, and the taking of turns by what it records. */
import { Rng } from "@patina/base";
import { describe, expect, test } from "vitest";
import { interleave, median, medianRatio, percentile } from "./rounds.js";

describe("statistics", () => {
  test("a median is the middle one, or halfway between the two in the middle, and leaves its input alone", () => {
    const values = [9, 1, 5];
    expect(median(values)).toBe(5);
    expect(values).toEqual([9, 1, 5]);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  test("numbers are sorted as numbers", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(percentile([10, 9, 100], 1)).toBe(100);
  });

  test("a percentile is a value that was measured", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(hundred, 0.5)).toBe(50);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile(hundred, 1)).toBe(100);
    expect(percentile(hundred, 0)).toBe(1);
    expect(percentile([3, 1, 2], 0.99)).toBe(3);
  });

  test("a ratio is of each round with itself: a slow round for both changes nothing", () => {
    expect(medianRatio([10, 1, 10], [20, 2, 20])).toBe(0.5);
    // The ratio of the medians would say 1.
    expect(medianRatio([10, 20, 30], [20, 10, 60])).toBe(0.5);
  });

  test("nothing has no median, and unequal rounds no ratio", () => {
    expect(() => median([])).toThrow("a median of nothing");
    expect(() => percentile([], 0.5)).toThrow("a percentile needs values");
    expect(() => medianRatio([1], [1, 2])).toThrow("rounds are compared one by one");
  });
});

describe("taking turns", () => {
  test("the first round warms up: it is run and not counted", async () => {
    const results = await interleave(
      { a: (round) => round, b: async (round) => 10 * round },
      { rounds: 3, rng: new Rng(1) },
    );
    expect(results).toEqual({ a: [1, 2, 3], b: [10, 20, 30] });
  });

  test("every contender has one turn a round, between preparing and settling, in an order that changes", async () => {
    const seen: string[] = [];
    const turns = Object.fromEntries(["a", "b", "c"].map((name) => [name, () => void seen.push(name)]));
    await interleave(turns, {
      rounds: 20,
      rng: new Rng(7),
      prepare: () => void seen.push("["),
      settle: () => void seen.push("]"),
    });
    const rounds = seen.join("").match(/\[[abc]{3}\]/g) ?? [];
    expect(rounds.join("")).toBe(seen.join(""));
    expect(rounds).toHaveLength(21);
    for (const round of rounds) expect([...round].toSorted().join("")).toBe("[]abc");
    expect(new Set(rounds).size).toBeGreaterThan(3);
  });

  test("what a turn throws ends the run", async () => {
    const failing = { a: () => Promise.reject(new Error("no disk")) };
    await expect(interleave(failing, { rounds: 1, rng: new Rng(1) })).rejects.toThrow("no disk");
  });
});
