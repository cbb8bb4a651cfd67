/** A few seeds and plans, quick enough for every change: the bugs that `npm run mutants` plants must not pass them. */
import { expect, test } from "vitest";
import type { Direction } from "../plan/fault.js";
import { PERFECT_NETWORK, type Plan } from "../plan/plan.js";
import { runSeed } from "./run-seed.js";

const SEEDS = 30;

test("the first seeds pass", { timeout: 120_000 }, () => {
  for (let seed = 1; seed <= SEEDS; seed++) expect(runSeed(seed).problems).toEqual([]);
});

test("what a lost node left owing is made up for, also where everybody owes", () => {
  const results = [852, 1807, 3407, 3697, 4182, 11460].map((seed) => runSeed(seed));
  expect(results.flatMap(({ problems }) => problems)).toEqual([]);
  const paths = results.flatMap((result) => result.paths);
  expect(paths).toContain("what a lost node left owing was made up for");
  expect(paths).toContain("more of a lost node's versions counted as held once it was made up for");
});

const isLeft = (node: number): boolean => node < 2;

/** Two on one side, the rest on the other, for much longer than the dead keep their place. */
function parted(nodes: number): Plan {
  const all = Array.from({ length: nodes * nodes }, (_, i): Direction => [Math.floor(i / nodes), i % nodes]);
  const cut = all.filter(([a, b]) => isLeft(a) !== isLeft(b));
  return {
    nodes,
    classes: ["long-partition", "eviction"],
    network: PERFECT_NETWORK,
    faults: [{ atMs: 1500, fault: { kind: "partition", cut } }],
    writes: 60,
    faultsEndMs: 10_000,
    clockOffsetsMs: Array.from({ length: nodes }, () => 0),
    clockDrifts: Array.from({ length: nodes }, () => 0),
    lost: [],
    evictAfterMs: 500,
    broadcasts: true,
    directMembersMax: 64,
  };
}

test.each([4, 5])("two sides of %i, parted until one gives up the other, become one again", (nodes) => {
  const { problems, paths } = runSeed(1, { plan: parted(nodes) });
  expect(problems).toEqual([]);
  expect(paths).toContain("a member was given up");
});

/** A start, and the disk of before it with a clock of before it. */
function putBack(nodes: number): Plan {
  return {
    ...parted(nodes),
    classes: ["old-disk", "clock-step"],
    faults: [
      { atMs: 1000, fault: { kind: "copy-disk", node: 1 } },
      { atMs: 2000, fault: { kind: "leave", node: 1 } },
      { atMs: 2100, fault: { kind: "restart", node: 1 } },
      { atMs: 4000, fault: { kind: "restore-disk", node: 1 } },
      { atMs: 4000, fault: { kind: "step-clock", node: 1, byMs: -5000 } },
      { atMs: 6000, fault: { kind: "restart", node: 1 } },
    ],
  };
}

test("a member whose disk and clock were put back starts above the number that is gone", () => {
  const { problems, paths } = runSeed(1, { plan: putBack(4) });
  expect(problems).toEqual([]);
  expect(paths).toContain("a start was numbered below one that was gone");
});

/** It enlists with a stamp that is older than that of its own eviction, and hears of this afterwards. */
function returnsBehind(nodes: number, behindMs: number): Plan {
  return {
    ...parted(nodes),
    faults: [
      { atMs: 1500, fault: { kind: "leave", node: 1 } },
      { atMs: 3500, fault: { kind: "restart", node: 1 } },
    ],
    clockOffsetsMs: Array.from({ length: nodes }, (_, node) => (node === 1 ? -behindMs : 0)),
  };
}

test.each([0, 2000])("a member that was given up is one again, its clock %i ms behind", (behindMs) => {
  const { problems, paths } = runSeed(1, { plan: returnsBehind(4, behindMs) });
  expect(problems).toEqual([]);
  expect(paths).toContain("a member was given up");
});
