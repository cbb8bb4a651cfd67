/** What is learnt of a region by asking it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultRouterConfig, testRouterConfig } from "../config.js";
import { RegionHealth } from "./region-health.js";

const { breakerFailures, breakerOpenMs, regionsMax } = testRouterConfig;

describe("the circuit of a region", () => {
  const broken = (): RegionHealth => {
    const health = new RegionHealth(testRouterConfig);
    for (let i = 0; i < breakerFailures; i++) health.onFailure("iad", 0);
    return health;
  };

  test("opens after so many failures in a row, and not before", () => {
    const health = new RegionHealth(testRouterConfig);
    health.onFailure("iad", 0);
    health.onAnswer("iad", 1);
    health.onFailure("iad", 0);
    expect(health.admit("iad", 0)).toBe(true);
    health.onFailure("iad", 0);
    expect([health.stateOf("iad", 0), health.admit("iad", 0), health.admit("fra", 0)]).toEqual(["open", false, true]);
  });

  test("lets one try after a while, and no second beside it", () => {
    const health = broken();
    expect(health.admit("iad", breakerOpenMs - 1)).toBe(false);
    expect([health.admit("iad", breakerOpenMs), health.admit("iad", breakerOpenMs)]).toEqual([true, false]);
    health.onFailure("iad", breakerOpenMs);
    expect(health.admit("iad", 2 * breakerOpenMs - 1)).toBe(false);
    expect(health.admit("iad", 2 * breakerOpenMs)).toBe(true);
    health.onAnswer("iad", 1);
    expect(health.stateOf("iad", 2 * breakerOpenMs)).toBe("closed");
  });

  test("is not held open by one that tried and never said how it went", () => {
    const health = broken();
    expect([health.admit("iad", breakerOpenMs), health.admit("iad", 2 * breakerOpenMs)]).toEqual([true, true]);
  });

  test("is what a list of what happened says it is", () => {
    type Happened = { readonly afterMs: number; readonly what: "answer" | "failure" };
    const happened = fc.record<Happened>({
      afterMs: fc.nat(2 * breakerOpenMs),
      what: fc.constantFrom("answer", "failure"),
    });
    const property = fc.property(fc.array(happened), fc.nat(2 * breakerOpenMs), (history, lookAfterMs) => {
      const health = new RegionHealth(testRouterConfig);
      let nowMs = 0;
      for (const { afterMs, what } of history) {
        nowMs += afterMs;
        if (what === "answer") health.onAnswer("iad", 1);
        else health.onFailure("iad", nowMs);
      }
      const inARow = history.length - 1 - history.findLastIndex(({ what }) => what === "answer");
      const isOpen = inARow >= breakerFailures && lookAfterMs < breakerOpenMs;
      expect(health.admit("iad", nowMs + lookAfterMs)).toBe(!isOpen);
    });
    fc.assert(property);
  });
});

describe("the hedge", () => {
  test("waits a fixed time for a region little is known of, then for its 95th percentile", () => {
    const health = new RegionHealth(defaultRouterConfig);
    expect(health.hedgeAfterMs("iad")).toBe(defaultRouterConfig.hedgeMs);
    for (let ms = 1; ms <= 40; ms++) health.onAnswer("iad", ms);
    expect(health.hedgeAfterMs("iad")).toBe(38);
  });

  test("keeps to its bounds, however fast or slow the region is", () => {
    const health = new RegionHealth(defaultRouterConfig);
    for (let i = 0; i < 20; i++) {
      health.onAnswer("fast", 0);
      health.onAnswer("slow", 60_000);
    }
    const { hedgeMinMs, askTimeoutMs } = defaultRouterConfig;
    expect([health.hedgeAfterMs("fast"), health.hedgeAfterMs("slow")]).toEqual([hedgeMinMs, askTimeoutMs / 2]);
  });
});

test("the region heard of least recently is forgotten when there are too many", () => {
  const health = new RegionHealth(testRouterConfig);
  for (let i = 0; i < regionsMax; i++) health.onAnswer(`r${i}`, 1);
  health.onAnswer("r0", 1);
  health.onAnswer("one more", 1);
  expect(["r0", "r1", "one more"].map((region) => health.rttMs(region))).toEqual([1, undefined, 1]);
});
