/** What a full lane takes, and when again. */
import { expect, test } from "vitest";
import { testAgentConfig as config } from "./config.js";
import { Lanes } from "./lanes.js";

const frame = (bytes: number): Uint8Array => new Uint8Array(bytes);

test("of an answer whose beginning did not fit, nothing that follows is taken, until the lane has run empty", () => {
  const lanes = new Lanes(config);
  const most = config.laneBytesMax.repair;
  expect(lanes.add("repair", frame(most - 2))).toBe(true);
  expect([lanes.add("repair", frame(3)), lanes.add("repair", frame(1))]).toEqual([false, false]);
  let left = 0;
  for (let taken = lanes.leaving(); taken.length > 0; taken = lanes.leaving()) {
    left += taken.reduce((sum, { length }) => sum + length, 0);
    lanes.onFlushed(left);
  }
  expect([left, lanes.add("repair", frame(3)), lanes.add("repair", frame(1))]).toEqual([most - 2, true, true]);
});
