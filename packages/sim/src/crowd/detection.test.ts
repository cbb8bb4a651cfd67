/** The bounds of the failure detector: how fast, and how rarely wrong. `npm run sim -- --detection` measures them at length. */
import { expect, test } from "vitest";
import { Crowd } from "./crowd.js";
import { countFalseDeaths, measureDetection, measureMassRestart, ROUGH_WEATHER } from "./detection.js";

test("a process that ends among ten is known to all within eight seconds", { timeout: 60_000 }, () => {
  expect(measureDetection(10, 40, "kill").p99Ms).toBeLessThan(8000);
});

test("a machine that ends among ten is known to all within eight seconds", { timeout: 60_000 }, () => {
  expect(measureDetection(10, 40, "power").p99Ms).toBeLessThan(8000);
});

test.each(["kill", "power"] as const)(
  "when one among a hundred ends by %s, all know within twelve seconds",
  { timeout: 120_000 },
  (ending) => {
    expect(measureDetection(100, 2, ending).p99Ms).toBeLessThan(12_000);
  },
);

test(
  "in rough weather, with one node in twelve standing still again and again, nobody is buried alive",
  { timeout: 120_000 },
  () => {
    const crowd = new Crowd({ size: 100, seed: 7, conditions: ROUGH_WEATHER });
    expect(countFalseDeaths(crowd, { share: 0.08, forMs: 4000, everyMs: 12_000 }, 60_000)).toBe(0);
  },
);

test("a hundred that restart within five seconds are one again ten seconds later", { timeout: 120_000 }, () => {
  expect(measureMassRestart(100, 1, 5000)).toBeLessThan(10_000);
});

test("the same seed does the same again", () => {
  const trace = (): unknown => {
    const crowd = new Crowd({ size: 8, seed: 3, conditions: ROUGH_WEATHER, framesEveryMs: 500 });
    crowd.run(5000);
    crowd.stall(3, 2000);
    crowd.crash(5);
    crowd.run(15_000);
    return [crowd.seen, crowd.sent];
  };
  expect(trace()).toEqual(trace());
});
