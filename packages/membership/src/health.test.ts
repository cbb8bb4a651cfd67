/** When a node doubts itself. */
import { describe, expect, test } from "vitest";
import { defaultMembershipConfig } from "./config.js";
import { LocalHealth } from "./health.js";

describe("local health", () => {
  test("stays between well and its worst", () => {
    const health = new LocalHealth(defaultMembershipConfig);
    health.probeAnswered();
    expect(health.score).toBe(0);
    for (let i = 0; i < 20; i++) health.worsen();
    expect(health.score).toBe(defaultMembershipConfig.localHealthMax);
  });

  test("does not suffer from a failure that every helper confirmed", () => {
    const health = new LocalHealth(defaultMembershipConfig);
    health.probeFailed(0);
    expect(health.score).toBe(0);
    health.probeFailed(3);
    expect(health.score).toBe(3);
  });

  test("is worst, and accusations are rationed, once more than 30 % of twenty probes failed", () => {
    const health = new LocalHealth(defaultMembershipConfig);
    for (let i = 0; i < 6; i++) health.probeFailed(0);
    expect([health.score, health.isIsolated, health.mayAccuse(0), health.mayAccuse(1)]).toEqual([0, false, true, true]);
    health.probeFailed(0);
    expect([health.score, health.isIsolated, health.mayAccuse(2)]).toEqual([7, true, false]);
    expect([health.mayAccuse(30_001), health.mayAccuse(30_002)]).toEqual([true, false]);
    for (let i = 0; i < 13; i++) health.probeAnswered();
    expect(health.mayAccuse(30_003)).toBe(false);
    health.probeAnswered();
    expect([health.score, health.mayAccuse(30_004)]).toEqual([0, true]);
  });
});
