/** Ranges do what a plain set of integers does, whatever the spans look like and however they are combined. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Range, Ranges } from "./ranges.js";

const MAX = 60;
const spans = fc.array(
  fc
    .tuple(fc.integer({ min: 1, max: MAX }), fc.integer({ min: 0, max: 9 }))
    .map(([low, more]): Range => [low, low + more]),
  { maxLength: 12 },
);

function setOf(from: readonly Range[]): Set<number> {
  const set = new Set<number>();
  for (const [low, high] of from) for (let i = low; i <= high; i++) set.add(i);
  return set;
}

function listed(ranges: Ranges): number[] {
  return [...setOf(ranges.spans)];
}

const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => a - b);

describe("ranges against a set", () => {
  test("any spans become sorted, disjoint spans that do not touch, of the same integers", () => {
    fc.assert(
      fc.property(spans, (from) => {
        const ranges = Ranges.from(from);
        expect(listed(ranges)).toEqual(sorted(setOf(from)));
        ranges.spans.forEach(([low, high], i) => {
          expect(low).toBeLessThanOrEqual(high);
          expect(low).toBeGreaterThan((ranges.spans[i - 1]?.[1] ?? -1) + 1);
        });
        expect(ranges.size).toBe(setOf(from).size);
        expect(ranges.spanCount).toBe(ranges.spans.length);
        expect(ranges.isEmpty).toBe(from.length === 0);
      }),
    );
  });

  test("union, subtract and intersect are those of sets", () => {
    fc.assert(
      fc.property(spans, spans, (left, right) => {
        const [a, b] = [setOf(left), setOf(right)];
        const [ra, rb] = [Ranges.from(left), Ranges.from(right)];
        expect(listed(ra.union(rb))).toEqual(sorted(new Set([...a, ...b])));
        expect(listed(ra.subtract(rb))).toEqual(sorted([...a].filter((it) => !b.has(it))));
        expect(listed(ra.intersect(rb))).toEqual(sorted([...a].filter((it) => b.has(it))));
        expect(ra.equals(rb)).toBe(sorted(a).join() === sorted(b).join());
      }),
      { numRuns: 400 },
    );
  });

  test("has, take and the text agree with the integers", () => {
    fc.assert(
      fc.property(spans, fc.integer({ min: 0, max: MAX + 10 }), (from, n) => {
        const [set, ranges] = [setOf(from), Ranges.from(from)];
        expect(ranges.has(n)).toBe(set.has(n));
        expect(listed(ranges.take(n))).toEqual(sorted(set).slice(0, n));
        expect(Ranges.parse(ranges.toString()).spans).toEqual(ranges.spans);
      }),
    );
  });

  test("the operands never change", () => {
    const [a, b] = [Ranges.of(1, 10), Ranges.of(5, 20)];
    a.union(b);
    a.subtract(b);
    a.intersect(b);
    a.take(3);
    expect([a.toString(), b.toString()]).toEqual(["1-10", "5-20"]);
  });
});

describe("the edges", () => {
  test("nothing is written as nothing, one as itself, more as low-high", () => {
    expect(Ranges.empty.toString()).toBe("");
    expect(Ranges.of(3, 2).isEmpty).toBe(true);
    expect(Ranges.from([[7, 7], [1, 2], [3, 4]]).toString()).toBe("1-4,7"); // prettier-ignore
  });

  test("spans up to the greatest safe integer cost no more than others", () => {
    const all = Ranges.of(1, Number.MAX_SAFE_INTEGER);
    expect(all.size).toBe(Number.MAX_SAFE_INTEGER);
    expect(all.subtract(Ranges.of(2, Number.MAX_SAFE_INTEGER - 1)).toString()).toBe(`1,${Number.MAX_SAFE_INTEGER}`);
    expect(all.take(2).toString()).toBe("1-2");
    expect(all.union(Ranges.of(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)).spanCount).toBe(1);
  });

  test("thousands of spans are subtracted from thousands in one pass over both", () => {
    const odd = Ranges.from(Array.from({ length: 20_000 }, (_, i): Range => [2 * i + 1, 2 * i + 1]));
    const even = Ranges.from(Array.from({ length: 20_000 }, (_, i): Range => [2 * i + 2, 2 * i + 2]));
    expect(odd.subtract(even).spanCount).toBe(20_000);
    expect(odd.subtract(odd).isEmpty).toBe(true);
    expect(odd.intersect(odd).equals(odd)).toBe(true);
  });

  test.each([
    [0, 3],
    [-1, 2],
    [1.5, 2],
    [1, Number.MAX_SAFE_INTEGER + 1],
    [Number.NaN, 2],
  ])(
    // prettier-ignore
    "%d to %d is refused as a bug",
    (low, high) => {
      expect(() => Ranges.of(low, high)).toThrow("invariant broken");
    },
  );
});
