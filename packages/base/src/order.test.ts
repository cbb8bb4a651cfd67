/** What replays and what orders: clocks only move forward, stamps order totally, chance and placing follow from a seed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hash32, rendezvous } from "./hash.js";
import { HlcClock, hlcFromMs, hlcToMs } from "./hlc.js";
import { clusterTag, isNodeId, originId, originNode, sameCluster } from "./ids.js";
import { Rng } from "./rng.js";
import { compareStamps, type Stamp } from "./stamp.js";

describe("the hybrid logical clock", () => {
  test("every tick is greater than all before it, whatever the wall clock does and whatever was observed", () => {
    const step = fc.oneof(
      fc.record({ tickAt: fc.nat(2 ** 44) }),
      fc.record({ observed: fc.bigInt(0n, 1n << 60n) }),
      fc.record({ restart: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let clock = new HlcClock();
        let last = -1n;
        for (const it of steps) {
          if ("restart" in it) clock = new HlcClock(clock.high);
          else if ("observed" in it) {
            clock.observe(it.observed);
            if (it.observed > last) last = it.observed;
          } else {
            const stamp = clock.tick(it.tickAt);
            expect(stamp > last).toBe(true);
            expect(clock.high).toBe(stamp);
            last = stamp;
          }
        }
      }),
    );
  });

  test("a clock that runs shows the wall time; one that is frozen or overflows its counter goes on counting", () => {
    const clock = new HlcClock();
    expect(hlcToMs(clock.tick(1_700_000_000_000.9))).toBe(1_700_000_000_000);
    expect(clock.tick(1_700_000_000_000)).toBe(hlcFromMs(1_700_000_000_000) + 1n);
    for (let i = 0; i < 70_000; i++) clock.tick(1_700_000_000_000);
    expect(hlcToMs(clock.tick(0))).toBe(1_700_000_000_001);
    expect(clock.tick(1_700_000_000_002)).toBe(hlcFromMs(1_700_000_000_002));
  });

  test.each([-1, Number.NaN, Infinity])("%d is no wall time, which is a bug of ours", (wallMs) => {
    expect(() => hlcFromMs(wallMs)).toThrow("invariant broken");
  });
});

describe("stamps", () => {
  const stamp: fc.Arbitrary<Stamp> = fc.record({
    epoch: fc.nat(2),
    hlc: fc.bigInt(0n, 3n),
    origin: fc.constantFrom("aa", "ab", "b"),
    version: fc.integer({ min: 1, max: 3 }),
  });
  const sign = (a: Stamp, b: Stamp): number => Math.sign(compareStamps(a, b));

  test("order is total: antisymmetric, transitive, and equal only for the same state", () => {
    fc.assert(
      fc.property(stamp, stamp, stamp, (a, b, c) => {
        expect(sign(a, b)).toBe(-sign(b, a) + 0);
        expect(sign(a, b) === 0).toBe(JSON.stringify([a.epoch, String(a.hlc), a.origin, a.version]) === JSON.stringify([b.epoch, String(b.hlc), b.origin, b.version])); // prettier-ignore
        if (sign(a, b) <= 0 && sign(b, c) <= 0) expect(sign(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });

  test("the epoch outranks the clock, the clock the origin, the origin the version", () => {
    const least = { epoch: 0, hlc: 0n, origin: "a", version: 1 };
    expect(compareStamps({ ...least, epoch: 1 }, { ...least, hlc: 1n << 60n })).toBeGreaterThan(0);
    expect(compareStamps({ ...least, hlc: 1n }, { ...least, origin: "f", version: 9 })).toBeGreaterThan(0);
    expect(compareStamps({ ...least, origin: "b" }, { ...least, version: 9 })).toBeGreaterThan(0);
  });
});

describe("seeded chance", () => {
  test("a seed replays, another does not, and the stream never changes between releases", () => {
    const draw = (seed: number): number[] => {
      const rng = new Rng(seed);
      return Array.from({ length: 50 }, () => rng.u32());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(42).slice(0, 3)).toEqual([1959603763, 2423114712, 2466933512]);
  });

  test("a component's draws never shift those of another that was forked beside it", () => {
    const [a, b] = [new Rng(5), new Rng(5)];
    const fork = a.fork();
    for (let i = 0; i < 100; i++) fork.u32();
    b.fork();
    expect([a.u32(), a.u32()]).toEqual([b.u32(), b.u32()]);
  });

  test("draws stay in their bounds, a shuffle keeps every item, and nothing picked of nothing", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 1000 }), fc.array(fc.nat(50)), (seed, bound, items) => {
        const rng = new Rng(seed);
        for (let i = 0; i < 20; i++) {
          expect(rng.below(bound)).toBeLessThan(bound);
          expect(rng.between(-2, 3)).toSatisfy((it: number) => it >= -2 && it < 3);
          expect(rng.float()).toSatisfy((it: number) => it >= 0 && it < 1);
        }
        expect(rng.shuffle(items).sort((a, b) => a - b)).toEqual([...items].sort((a, b) => a - b));
        const picked = rng.pick(items);
        expect(picked === undefined ? items.length === 0 : items.includes(picked)).toBe(true);
        expect([rng.chance(0), rng.chance(1)]).toEqual([false, true]);
      }),
    );
  });

  test("every value below a small bound is drawn about equally often", () => {
    const rng = new Rng(1);
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i++) {
      const drawn = rng.below(5);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

describe("placing", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 });

  test("everybody gets the same order, and losing one candidate moves no other", () => {
    fc.assert(
      fc.property(fc.string(), names, fc.nat(), (key, all, at) => {
        const order = rendezvous(key, all);
        expect(rendezvous(key, all.toReversed())).toEqual(order);
        const lost = all[at % all.length];
        expect(rendezvous(key, all.filter((it) => it !== lost))).toEqual(order.filter((it) => it !== lost)); // prettier-ignore
      }),
    );
  });

  test("keys spread over the candidates", () => {
    const candidates = ["a", "b", "c", "d"];
    const firsts = Array.from({ length: 4000 }, (_, i) => rendezvous(`key-${i}`, candidates)[0]);
    for (const candidate of candidates) {
      expect(Math.abs(firsts.filter((it) => it === candidate).length - 1000)).toBeLessThan(150);
    }
    expect(hash32("a")).not.toBe(hash32("a", 1));
  });
});

test("an origin is a node and a database, and clusters of another generation are others", () => {
  const [node, db] = ["0f".repeat(16), "ab".repeat(8)];
  expect(originNode(originId(node, db))).toBe(node);
  expect(() => originId(node, "AB".repeat(8))).toThrow("invariant broken");
  expect([isNodeId(node), isNodeId(`${node}0`), isNodeId(node.toUpperCase())]).toEqual([true, false, false]);
  const [one, two] = [{ name: "iad", generation: 1 }, { name: "iad", generation: 2 }]; // prettier-ignore
  expect([sameCluster(one, { ...one }), sameCluster(one, two)]).toEqual([true, false]);
  expect(clusterTag(one)).not.toBe(clusterTag(two));
});
