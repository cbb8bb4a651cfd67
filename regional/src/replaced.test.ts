/** A border whose region was replaced: it is told of once, and does not hammer on. */
import { expect, test } from "vitest";
import { AppError } from "@patina/base";
import { ASK_AGAIN_MS, Replaced } from "./replaced.js";

const refusal = new AppError("region-replaced", "generation 2 publishes, this is 1");

test("a region that was replaced is told of once, and sends nothing until it is time to ask again", () => {
  const replaced = new Replaced();
  expect(replaced.isHeld(0)).toBe(false);
  expect(replaced.onFailed(refusal, 0)).toBe("replaced");
  expect(replaced.onFailed(refusal, 1)).toBe("known"); // It was under way with the first.
  expect(replaced.isHeld(ASK_AGAIN_MS - 1)).toBe(true);
  expect(replaced.isHeld(ASK_AGAIN_MS)).toBe(false);
  expect(replaced.onFailed(refusal, ASK_AGAIN_MS)).toBe("replaced");
});

test("whatever else goes wrong holds nothing", () => {
  const replaced = new Replaced();
  for (const thrown of [new AppError("agent-unreachable", "it does not answer"), new Error("boom"), undefined]) {
    expect(replaced.onFailed(thrown, 0)).toBe("other");
  }
  expect(replaced.isHeld(0)).toBe(false);
});
