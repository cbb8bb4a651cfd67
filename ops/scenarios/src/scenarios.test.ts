/** Every scenario goes well, with any of a few seeds; what guards against some of them is shown to be what does. */
import { defaultMembershipConfig } from "@patina/membership";
import { expect, test } from "vitest";
import { SCENARIOS } from "./list.js";
import { playStalls } from "./slowness.js";

test.each(SCENARIOS.map((scenario) => [scenario.id, scenario] as const))(
  "%s",
  { timeout: 120_000 },
  (_id, { play }) => {
    expect([1, 2].flatMap((seed) => play(seed))).toEqual([]);
  },
);

test("F10 without the look at late timers accuses the living", { timeout: 120_000 }, () => {
  expect(playStalls(1, { ...defaultMembershipConfig, lateTickMs: Infinity }).accused).toBeGreaterThan(20);
});
