/** Deadlines, confirmations and stalls of one suspicion. */
import { describe, expect, test } from "vitest";
import { defaultMembershipConfig } from "./config.js";
import { Suspicions } from "./suspicion.js";

const at = (monotonicMs: number) => ({ monotonicMs, wallMs: 0 });
const NEVER = -Infinity;

describe("a suspicion", () => {
  test("runs for six times the minimum alone, and down to the minimum with two more accusers", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    expect(suspicions.start("x", "a", 10, at(0))).toBe(30_000);
    expect(suspicions.confirm("x", "b")).toBeCloseTo(30_000 - (25_000 * Math.log(2)) / Math.log(3));
    expect(suspicions.confirm("x", "c")).toBe(5_000);
  });

  test("is confirmed once by each accuser, and by no more than are wanted", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    suspicions.start("x", "a", 10, at(0));
    expect(suspicions.confirm("x", "a")).toBeUndefined();
    expect(suspicions.confirm("x", "b")).toBeDefined();
    expect(suspicions.confirm("x", "b")).toBeUndefined();
    expect(suspicions.confirm("x", "c")).toBeDefined();
    expect(suspicions.confirm("x", "d")).toBeUndefined();
  });

  test("grows with the logarithm of the cluster, and waits for nobody in a tiny one", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    expect(suspicions.start("x", "a", 1_000, at(0))).toBeCloseTo(6 * 12_000);
    expect(suspicions.start("y", "a", 4, at(0))).toBe(5_000);
  });

  test("has only its minimum left once somebody else has waited in vain", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    suspicions.start("x", "a", 10, at(100));
    expect(suspicions.condemn("x")).toBe(5_100);
    expect(suspicions.onWake("x", 5_100, NEVER, at(5_100))).toEqual({ kind: "dead" });
  });

  test("gets back the time for which we were deaf", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    const atMs = suspicions.start("x", "a", 4, at(0));
    suspicions.extend(3_000);
    expect(suspicions.onWake("x", atMs, NEVER, at(6_000))).toEqual({ kind: "wait", atMs: 8_000 });
    expect(suspicions.onWake("x", 8_000, NEVER, at(8_000))).toEqual({ kind: "dead" });
  });

  test("is renewed for a member that was heard from since it began", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    const atMs = suspicions.start("x", "a", 4, at(0));
    expect(suspicions.onWake("x", atMs, 1, at(atMs))).toEqual({ kind: "renewed" });
  });

  test("ignores the timers of those before it", () => {
    const suspicions = new Suspicions(defaultMembershipConfig);
    const first = suspicions.start("x", "a", 4, at(0));
    suspicions.start("x", "a", 4, at(1_000));
    expect(suspicions.onWake("x", first, NEVER, at(9_000))).toEqual({ kind: "stale" });
    suspicions.stop("x");
    expect(suspicions.onWake("x", 6_000, NEVER, at(9_000))).toEqual({ kind: "stale" });
  });
});
