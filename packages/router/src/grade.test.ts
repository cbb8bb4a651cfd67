/** How old a region's part of the map counts. */
import { expect, test } from "vitest";
import { defaultRouterConfig } from "./config.js";
import { gradeOf, gradesOf } from "./grade.js";

const NOW_MS = 1_700_000_000_000;

test.each([
  [0, "fresh", 0],
  [15_000, "fresh", 15_000],
  [15_001, "stale", 15_001],
  [600_000, "stale", 600_000],
  [600_001, "expired", 600_001],
  [-60_000, "fresh", 0],
  [-60_001, "stale", 60_001],
] as const)("a region whose heartbeat is %i ms behind is %s", (behindMs, grade, ageMs) => {
  const region = { region: "iad", generation: 1, heartbeatMs: NOW_MS - behindMs, apis: [], apps: 0 };
  expect(gradeOf(region, { monotonicMs: 0, wallMs: NOW_MS }, defaultRouterConfig)).toEqual({ grade, ageMs });
});

test("a region never heard of is expired", () => {
  expect(gradeOf(undefined, { monotonicMs: 0, wallMs: NOW_MS }, defaultRouterConfig).grade).toBe("expired");
});

test("regions are counted by their age, each grade also when there is none of it", () => {
  const heard = (behindMs: number) => ({
    region: "r",
    generation: 1,
    heartbeatMs: NOW_MS - behindMs,
    apis: [],
    apps: 0,
  });
  const now = { monotonicMs: 0, wallMs: NOW_MS };
  expect(gradesOf([heard(0), heard(1), heard(60_000)], now, defaultRouterConfig)).toEqual({
    fresh: 2,
    stale: 1,
    expired: 0,
  });
});
