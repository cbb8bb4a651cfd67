/** When checkpoints are due, whose turn it is, and that a claim is somebody's alone until its owner must be dead. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Level } from "../manifest/keys.js";
import { MemoryObjectStore } from "../memory/memory-object-store.js";
import { claimPeriod } from "./claim.js";
import { DEFAULT_SCHEDULE, dueAt } from "./due.js";
import { turnOf } from "./turn.js";

const DAY = 86_400_000;
const due = (nowMs: number, newest: [Level, number][]) => dueAt(nowMs, new Map(newest), DEFAULT_SCHEDULE);

describe("what is due", () => {
  test("first a base, whatever else there is", () => {
    expect(due(DAY + 5, [["d0", DAY]])).toEqual({ level: "base", period: 1 });
  });

  test("the longest level whose period has none, and nothing twice in a period", () => {
    expect(due(DAY + 9999, [["base", DAY]])).toBeUndefined();
    expect(due(DAY + 10_000, [["base", DAY]])).toMatchObject({ level: "d0" });
    expect(due(DAY + 19_999, [["base", DAY], ["d0", DAY + 10_000]])).toBeUndefined(); // prettier-ignore
    expect(due(DAY + 300_000, [["base", DAY], ["d0", DAY + 299_000]])).toMatchObject({ level: "d1" }); // prettier-ignore
    expect(due(DAY + 3_600_000, [["base", DAY], ["d1", DAY + 3_590_000]])).toMatchObject({ level: "d2" }); // prettier-ignore
    expect(
      due(2 * DAY, [
        ["base", DAY],
        ["d2", 2 * DAY - 1],
      ]),
    ).toEqual({ level: "base", period: 2 });
    expect(due(DAY + 3_600_001, [["base", DAY], ["d2", DAY + 3_600_000]])).toBeUndefined(); // prettier-ignore
  });

  test("what it would be if there were none that a wrong clock dated ahead", () => {
    expect(due(DAY + 5, [["base", 30 * DAY]])).toEqual({ level: "base", period: 1 });
    expect(due(DAY + 10_000, [["base", DAY], ["d1", 30 * DAY]])).toMatchObject({ level: "d0" }); // prettier-ignore
    expect(due(DAY + 10_000, [["base", DAY], ["d0", DAY + 15_000]])).toBeUndefined(); // prettier-ignore
  });

  test("over a day of alarms at any times, a restore reads few checkpoints", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 2000, maxLength: 3000 }), (waits) => {
        const newest = new Map<Level, number>();
        const chains = new Map<Level, number>();
        let nowMs = DAY;
        for (const wait of waits) {
          nowMs += wait;
          const next = dueAt(nowMs, newest, DEFAULT_SCHEDULE);
          if (next === undefined) continue;
          newest.set(next.level, nowMs);
          for (const level of ["base", "d2", "d1", "d0"] as const) {
            if (level === next.level) chains.set(level, (chains.get(level) ?? 0) + 1);
            if (["base", "d2", "d1", "d0"].indexOf(level) > ["base", "d2", "d1", "d0"].indexOf(next.level)) chains.set(level, 0); // prettier-ignore
          }
          expect(chains.get("d0") ?? 0).toBeLessThanOrEqual(29);
          expect(chains.get("d1") ?? 0).toBeLessThanOrEqual(11);
          expect(chains.get("d2") ?? 0).toBeLessThanOrEqual(23);
        }
      }),
      { numRuns: 20 },
    );
  });
});

test("members agree on the order, everybody has a turn, and the first differs from period to period", () => {
  const members = ["a", "b", "c", "d"];
  const first = new Set<string>();
  for (let period = 0; period < 40; period++) {
    const turns = members.map((self) => turnOf(self, [...members].reverse(), "iad", { work: "d0", period }));
    expect(turns.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    first.add(members[turns.indexOf(0)] ?? "");
  }
  expect(first.size).toBe(4);
});

describe("a claim", () => {
  const claim = { work: "base", period: 3, generation: 1, ttlMs: 1000 } as const;

  test("is had by one of those who want it, and by the next once its owner must be dead", async () => {
    let nowMs = 1_000_000;
    const objects = new MemoryObjectStore("claims", () => nowMs);
    const wanting = async (): Promise<number> => {
      const answers = await Promise.all(["a", "b", "c"].map((by) => claimPeriod(objects, "iad", { ...claim, by })));
      return answers.filter(Boolean).length;
    };
    expect(await wanting()).toBe(1);
    nowMs += 1000;
    expect(await wanting()).toBe(0);
    nowMs += 1001;
    expect(await wanting()).toBe(1);
    expect(await claimPeriod(objects, "iad", { ...claim, period: 4, by: "a" })).toBe(true);
    expect(await claimPeriod(objects, "iad", { ...claim, generation: 2, by: "a" })).toBe(true);
  });
});
