/** A copy that falls behind says so, and so does one that sees others and is compared with none. */
import { type Holdings, Ranges } from "@patina/base";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Lag } from "./lag.js";

let nowMs: number;
let holdings: Holdings;
let peers: { up: number; reachable: number };
let lag: Lag;

beforeEach(() => {
  [nowMs, holdings, peers] = [0, new Map(), { up: 2, reachable: 1 }];
  lag = lagOf({ boot: 0, hasSeeds: true });
});
afterEach(() => lag.close());

function lagOf(start: { boot: number; hasSeeds: boolean }): Lag {
  const now = () => ({ monotonicMs: nowMs, wallMs: nowMs });
  return new Lag({ ...start, store: { holdings: () => holdings }, peers: () => peers, now });
}

function after(ms: number): readonly string[] {
  lag.look();
  nowMs += ms;
  lag.look();
  return lag.reasons();
}

test("one that keeps up, with a stream to somebody, has nothing to say", () => {
  expect(after(3_600_000)).toEqual([]);
});

test("one that lacks versions for long says how many", () => {
  holdings = new Map([["a".repeat(48), { head: 9, gaps: Ranges.of(3, 5) }]]);
  expect([after(10_000), after(5000)]).toEqual([[], [expect.stringContaining("lacks 3 versions")]]);
});

test("one that sees others and has no stream says so, and one that is alone does not", () => {
  peers = { up: 2, reachable: 0 };
  expect([after(59_000), after(1000)]).toEqual([[], [expect.stringContaining("sees 2 members")]]);
  peers = { up: 2, reachable: 1 };
  expect(after(1)).toEqual([]);
  peers = { up: 0, reachable: 0 };
  expect(after(3_600_000)).toEqual([]);
});

test("one whose start is numbered ahead of the clock, so that others refuse it, says so until the clock is there", () => {
  peers = { up: 0, reachable: 0 };
  const alone = lagOf({ boot: 3_600_000, hasSeeds: false });
  const unheard = lagOf({ boot: 3_600_000, hasSeeds: true });
  unheard.look();
  expect([alone.reasons(), unheard.reasons()]).toEqual([[], [expect.stringContaining("3600 s ahead of the clock")]]);
  nowMs = 3_540_000;
  expect(unheard.reasons()).toEqual([]);
  for (const each of [alone, unheard]) each.close();
});
