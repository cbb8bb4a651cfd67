/** The time in signed requests. */
import { expect, test } from "vitest";
import { AHEAD_MAX_MS, SigningClock } from "./signing-clock.js";

const WALL = 1_800_000_000_000;

test("each request is later than the last, whatever is done to the clock", () => {
  const clock = new SigningClock();
  const ticks = [WALL, WALL + 0.5, WALL - 20_000, WALL - 10_000, WALL + 5000].map((wallMs) => clock.tick(wallMs));
  expect(ticks).toEqual([WALL, WALL + 1, WALL + 2, WALL + 3, WALL + 5000]);
});

test("a clock that was far ahead is not followed once it is right", () => {
  const clock = new SigningClock();
  clock.tick(WALL + AHEAD_MAX_MS);
  expect(clock.tick(WALL)).toBe(WALL);
});
