/** Who may write what into the index. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { hlcFromMs } from "@patina/base";
import { defaultDoorConfig, Door, type KnownRegion, type Publication } from "./door.js";
import { heartbeatWrite } from "./index-writes.js";

const WALL = 1_800_000_000_000;
const config = { ...defaultDoorConfig, rowsPerSecond: 10, rowsBurst: 20, rowsMax: 100 };
const at = (monotonicMs: number) => ({ monotonicMs, wallMs: WALL + monotonicMs });
const rows = (count: number, more: Partial<Publication> = {}): Publication => {
  return { region: "iad", generation: 1, stamps: Array<bigint>(count).fill(hlcFromMs(WALL)), ...more };
};
const known: KnownRegion = { generation: 1, rows: 0, heartbeat: { generation: 1, sentMs: WALL - 5000 } };

test("a region writes its own rows and no other's; where nobody proves anything, everybody writes", () => {
  const door = new Door(config);
  expect(door.judge("iad", rows(1), known, at(0))).toBeUndefined();
  expect(door.judge("fra", rows(1), known, at(0))?.code).toBe("region-foreign");
  expect(door.judge(undefined, rows(1), known, at(0))).toBeUndefined();
});

test("no row is from further ahead than a clock may be, and no generation from out of nowhere", () => {
  const door = new Door(config);
  const stamped = (aheadMs: number) => rows(0, { stamps: [hlcFromMs(WALL), hlcFromMs(WALL + aheadMs)] });
  expect(door.judge("iad", stamped(config.aheadMaxMs), known, at(0))).toBeUndefined();
  expect(door.judge("iad", stamped(config.aheadMaxMs + 1), known, at(0))?.code).toBe("clock-ahead");
  const generation = (n: number) => rows(1, { generation: n });
  expect(door.judge("iad", generation(1 + config.generationStepMax), known, at(0))).toBeUndefined();
  expect(door.judge("iad", generation(2 + config.generationStepMax), known, at(0))?.code).toBe("generation-ahead");
});

test("a generation that is over writes nothing any more", () => {
  const door = new Door(config);
  const after = { ...known, generation: 2 };
  expect(door.judge("iad", rows(1, { generation: 1 }), after, at(0))?.code).toBe("region-replaced");
  expect(door.judge(undefined, rows(1, { generation: 1 }), after, at(0))?.code).toBe("region-replaced");
  for (const generation of [2, 3]) expect(door.judge("iad", rows(1, { generation }), after, at(0))).toBeUndefined();
});

test("a heartbeat that comes after a later one, or again, changes nothing", () => {
  const door = new Door(config);
  const judged = (sentMs: number | undefined, generation = 1, last: KnownRegion = known) => {
    return door.judge("iad", rows(1, { sentMs, generation }), last, at(0))?.code;
  };
  expect(judged(WALL - 5001)).toBe("request-late");
  expect(judged(WALL - 4999.5)).toBe("request-late");
  expect(judged(WALL - 4999)).toBeUndefined();
  expect(judged(WALL - 20_000, 2)).toBeUndefined(); // A new generation's clock has nothing to follow.
  expect(judged(WALL - 20_000, 1, { ...known, heartbeat: undefined })).toBeUndefined();
  expect(judged(undefined)).toBeUndefined(); // Nothing is signed, and so nothing is known of when it was sent.
});

test("a heartbeat is stamped with when it was sent, never ahead of who takes it, and is as old as that one says", () => {
  const beat = { generation: 3, highWater: 7n, apis: [], agents: 1, apps: 0, location: undefined };
  const stampOf = (sentMs: number | undefined) => {
    const { stamp, values } = heartbeatWrite("iad", beat, sentMs, WALL);
    expect(values["heartbeat_ms"]).toBe(BigInt(WALL));
    return stamp;
  };
  expect(stampOf(WALL - 30_000)).toEqual({ epoch: 3, hlc: hlcFromMs(WALL - 30_000) });
  expect(stampOf(WALL + 30_000)).toEqual({ epoch: 3, hlc: hlcFromMs(WALL) });
  expect(stampOf(undefined)).toEqual({ epoch: 3, hlc: hlcFromMs(WALL) });
});

test("the index has no more rows of a region than it may", () => {
  const door = new Door(config);
  expect(door.judge("iad", rows(1), { ...known, rows: 100 }, at(0))).toBeUndefined();
  expect(door.judge("iad", rows(1), { ...known, rows: 101 }, at(0))?.code).toBe("too-many");
});

test("over any stretch of time a region writes no more than its rate and its burst, whatever another one does", () => {
  const step = fc.record({ afterMs: fc.nat(3000), count: fc.nat(25), region: fc.constantFrom("iad", "fra") });
  const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const door = new Door(config);
    const written: { atMs: number; count: number }[] = [];
    let nowMs = 0;
    for (const { afterMs, count, region } of steps) {
      nowMs += afterMs;
      const refused = door.judge(region, rows(count, { region }), known, at(nowMs));
      if (refused === undefined && region === "iad") written.push({ atMs: nowMs, count });
      const isIdle = steps.length === 1;
      if (isIdle) expect(refused === undefined).toBe(count <= config.rowsBurst);
    }
    for (const [i, from] of written.entries()) {
      for (const [j, to] of written.entries()) {
        if (j < i) continue;
        const total = written.slice(i, j + 1).reduce((sum, { count }) => sum + count, 0);
        expect(total).toBeLessThanOrEqual(
          config.rowsBurst + ((to.atMs - from.atMs) / 1000) * config.rowsPerSecond + 1e-6,
        );
      }
    }
  });
  fc.assert(property, { numRuns: 300 });
});
