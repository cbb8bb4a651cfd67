/** When silence of the main thread counts, and when it proves nothing. */
import { describe, expect, test } from "vitest";
import { BlackBox } from "./black-box.js";
import { Watchdog } from "./watchdog.js";

describe("the watchdog", () => {
  const config = { everyMs: 250, abortAfterMs: 2000 };

  function rounds(...each: readonly (readonly [nowMs: number, silentMs: number])[]) {
    const watchdog = new Watchdog(config);
    return each.map(([nowMs, silentMs]) => watchdog.round(nowMs, silentMs));
  }

  test("says for how long the main thread has been silent, and from when on it is wedged", () => {
    const found = rounds([0, 50], [250, 300], [500, 550], [750, 1999], [1000, 2001]);
    expect(found.map(({ lagMs }) => lagMs)).toEqual([50, 300, 550, 1999, 2001]);
    expect(found.map(({ isWedged }) => isWedged)).toEqual([false, false, false, false, true]);
  });

  test("counts from anew when it was itself stopped: the whole process was", () => {
    const found = rounds(
      [0, 50],
      [60_000, 60_050],
      [60_250, 60_300],
      [61_250, 61_300],
      [62_000, 62_050],
      [62_250, 62_300],
    );
    expect(found.map(({ lagMs }) => lagMs)).toEqual([50, 0, 250, 1250, 2000, 2250]);
    expect(found.map(({ isWedged }) => isWedged)).toEqual([false, false, false, false, false, true]);
  });
});

describe("the black box", () => {
  test("tells another thread what was noted last, cut to its limits", () => {
    const box = new BlackBox();
    box.noteStep("frame of in-1", new Uint8Array(10_000).fill(7));
    box.noteRow("machines", new Uint8Array([1, 2, 3]));
    const seen = new BlackBox(box.memory).read();
    expect([seen.step, seen.input.length, seen.input[0], seen.table, [...seen.key]]).toEqual([
      "frame of in-1", 4096, 7, "machines", [1, 2, 3]]); // prettier-ignore
    box.noteStep("write");
    expect(new BlackBox(box.memory).read()).toMatchObject({ step: "write", table: "" });
  });

  test("knows for how long nobody has come round", () => {
    const box = new BlackBox();
    box.beat();
    const silentMs = new BlackBox(box.memory).silentMs;
    expect(silentMs).toBeGreaterThanOrEqual(0);
    expect(silentMs).toBeLessThan(60_000);
  });
});
