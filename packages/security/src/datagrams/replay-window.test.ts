/** The replay window, against the plainest model of it: a set of all that was seen. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { REPLAY_WINDOW, ReplayWindow } from "./replay-window.js";

describe("a replay window", () => {
  test("takes each counter once, in whatever order, and none that is too old to know", () => {
    const step = fc.oneof(
      fc.integer({ min: -REPLAY_WINDOW - 40, max: 40 }),
      fc.integer({ min: -3, max: 3 }),
      fc.integer({ min: 0, max: 3 * REPLAY_WINDOW }),
    );
    fc.assert(
      fc.property(fc.nat(2 ** 52), fc.array(step, { maxLength: 200 }), (first, steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let greatest = -1;
        for (const by of steps) {
          const counter = Math.max(0, greatest === -1 ? first : greatest + by);
          const isFresh = !seen.has(counter) && counter > greatest - REPLAY_WINDOW;
          expect(window.isFresh(counter)).toBe(isFresh);
          if (!isFresh) continue;
          window.accept(counter);
          seen.add(counter);
          greatest = Math.max(greatest, counter);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("asking changes nothing", () => {
    const window = new ReplayWindow();
    window.accept(5);
    expect([window.isFresh(2 ** 40), window.isFresh(6), window.isFresh(5)]).toEqual([true, true, false]);
  });
});
