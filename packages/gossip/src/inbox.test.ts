/** Whatever order changes come in, each origin's come out in order and once; and what waits is bounded. */
import { type Change, changeBytes, type Holding, holdAlso, NO_HOLDING, type OriginId, Ranges } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultGossipConfig, type GossipConfig, testGossipConfig } from "./config.js";
import { Inbox } from "./inbox.js";
import type { Arrival } from "./parked.js";

const change = (origin: OriginId, version: number, bytes = 10): Change => {
  return { origin, version, hlc: BigInt(version), body: new Uint8Array(bytes) };
};
const NOTHING = new Map<OriginId, Holding>();
/** No change here is stamped later. */
const LATEST = 1_000_000n;

function held(...entries: [OriginId, number][]): Map<OriginId, Holding> {
  return new Map(entries.map(([origin, head]) => [origin, { head, gaps: Ranges.empty }]));
}

function named(arrivals: readonly Arrival[]): string[] {
  return arrivals.map((it) =>
    it.kind === "change"
      ? `${it.change.origin}${it.change.version}`
      : `${it.empty.origin}${it.empty.versions.toString()} empty`,
  );
}

describe("an inbox that is full of what comes far later", () => {
  const config: GossipConfig = { ...defaultGossipConfig, parkedVersionsMax: 10, parkedOriginShare: 1 };

  test("takes what comes sooner instead, and never goes on by one version for each answer", () => {
    const inbox = new Inbox(config);
    for (let version = 101; version <= 110; version++) inbox.offer(change("a", version), NOTHING);
    for (let version = 1; version <= 8; version++) inbox.offer(change("a", version), NOTHING);
    expect(inbox.parkedVersions("a").toString()).toBe("1-8,101-102");
    expect(inbox.droppedCount).toBe(8);
    expect(named(inbox.takeReady(NOTHING, 1000, LATEST).arrivals)).toHaveLength(8);
    inbox.offer(change("a", 500), held(["a", 8]));
    expect(inbox.parkedVersions("a").toString()).toBe("101-102,500");
  });

  test("takes what is empty sooner instead, too", () => {
    const inbox = new Inbox(config);
    const scattered = (from: number): Ranges => Ranges.from(Array.from({ length: 8 }, (_, i) => [from + 2 * i, from + 2 * i] as const)); // prettier-ignore
    inbox.offerEmpty({ origin: "a", versions: scattered(100) }, NOTHING);
    inbox.offerEmpty({ origin: "a", versions: scattered(2) }, NOTHING);
    expect(inbox.parkedVersions("a").toString()).toBe(scattered(2).union(Ranges.from([[100, 100], [102, 102]])).toString()); // prettier-ignore
  });

  test("still takes the next in line of an origin that others leave no room", () => {
    const inbox = new Inbox(config);
    for (let version = 101; version <= 110; version++) inbox.offer(change("a", version), NOTHING);
    inbox.offer(change("b", 2), NOTHING);
    inbox.offer(change("b", 1), NOTHING);
    expect(inbox.parkedVersions("b").toString()).toBe("1");
  });
});

describe("order", () => {
  test("what comes early waits for what comes before it", () => {
    const inbox = new Inbox(defaultGossipConfig);
    inbox.offer(change("a", 3), NOTHING);
    inbox.offer(change("a", 2), NOTHING);
    expect(inbox.takeReady(NOTHING, 1000, LATEST)).toEqual({ arrivals: [], more: false, early: [] });
    expect(inbox.knownGaps(NOTHING)).toEqual([{ origin: "a", versions: Ranges.of(1, 1) }]);
    expect(inbox.parkedVersions("a").toString()).toBe("2-3");
    inbox.offer(change("a", 1), NOTHING);
    expect(named(inbox.takeReady(NOTHING, 1000, LATEST).arrivals)).toEqual(["a1", "a2", "a3"]);
    expect([inbox.parkedBytes, inbox.knownGaps(held(["a", 3])).length]).toEqual([0, 0]);
  });

  test("an origin stamped too far ahead waits for the clock, and nobody else does", () => {
    const inbox = new Inbox(defaultGossipConfig);
    const [first, second] = [change("a", 1), { ...change("a", 2), hlc: LATEST + 5n }];
    for (const each of [first, second, change("a", 3), change("b", 1)]) inbox.offer(each, NOTHING);
    const { arrivals, early } = inbox.takeReady(NOTHING, 1000, LATEST);
    expect([named(arrivals), early]).toEqual([["a1", "b1"], [second]]);
    const holdings = held(["a", 1], ["b", 1]);
    expect(inbox.knownGaps(holdings)).toEqual([]);
    expect(named(inbox.takeReady(holdings, 1000, LATEST + 5n).arrivals)).toEqual(["a2", "a3"]);
  });

  test("versions known to be empty let later ones through", () => {
    const inbox = new Inbox(defaultGossipConfig);
    inbox.offer(change("a", 8), held(["a", 2]));
    inbox.offerEmpty({ origin: "a", versions: Ranges.from([[1, 4], [7, 7]]) }, held(["a", 2])); // prettier-ignore
    inbox.offer(change("a", 5), held(["a", 2]));
    inbox.offer(change("a", 6), held(["a", 2]));
    const { arrivals } = inbox.takeReady(held(["a", 2]), 1000, LATEST);
    expect(named(arrivals)).toEqual(["a3-4 empty", "a5", "a6", "a7 empty", "a8"]);
  });

  test("a gap in the holding is filled first, and what was held meanwhile is forgotten", () => {
    const inbox = new Inbox(defaultGossipConfig);
    const gappy = new Map([["a", { head: 9, gaps: Ranges.of(4, 5) }]]);
    inbox.offer(change("a", 4), gappy);
    expect(named(inbox.takeReady(gappy, 1000, LATEST).arrivals)).toEqual(["a4"]);
    inbox.offer(change("a", 5), NOTHING);
    expect(named(inbox.takeReady(held(["a", 9]), 1000, LATEST).arrivals)).toEqual([]);
    expect(inbox.parkedBytes).toBe(0);
  });

  test("what is held after a gap is not taken again when the gap is filled", () => {
    const inbox = new Inbox(defaultGossipConfig);
    for (const version of [4, 5, 6, 7, 10]) inbox.offer(change("a", version), NOTHING);
    const gappy = new Map([["a", { head: 7, gaps: Ranges.of(4, 5) }]]); // 6 and 7 came by snapshot meanwhile.
    expect(inbox.knownGaps(gappy)).toEqual([{ origin: "a", versions: Ranges.of(8, 9) }]);
    const { arrivals, more } = inbox.takeReady(gappy, 1000, LATEST);
    expect([named(arrivals), more]).toEqual([["a4", "a5"], true]);
    expect(named(inbox.takeReady(held(["a", 7]), 1000, LATEST).arrivals)).toEqual([]);
    expect(inbox.parkedVersions("a").toString()).toBe("10");
    const again = new Inbox(defaultGossipConfig);
    for (const version of [4, 8]) again.offer(change("a", version), NOTHING);
    const first = again.takeReady(new Map([["a", { head: 7, gaps: Ranges.of(4, 4) }]]), 1000, LATEST);
    expect([named(first.arrivals), first.more]).toEqual([["a4"], true]); // 8 follows on from what is held now.
  });

  test("a slice ends at its bytes and says that there is more", () => {
    const inbox = new Inbox(defaultGossipConfig);
    for (let version = 1; version <= 5; version++) inbox.offer(change("a", version, 100), NOTHING);
    const size = changeBytes(change("a", 1, 100));
    const first = inbox.takeReady(NOTHING, 2 * size + 1, LATEST);
    expect([named(first.arrivals), first.more]).toEqual([["a1", "a2"], true]);
    const rest = inbox.takeReady(held(["a", 2]), 10_000, LATEST);
    expect([named(rest.arrivals), rest.more]).toEqual([["a3", "a4", "a5"], false]);
  });

  test("what is larger than a slice is one by itself", () => {
    const inbox = new Inbox(defaultGossipConfig);
    for (const version of [1, 2]) inbox.offer(change("a", version, 100), NOTHING);
    const first = inbox.takeReady(NOTHING, 50, LATEST);
    expect([named(first.arrivals), first.more]).toEqual([["a1"], true]);
    expect(named(inbox.takeReady(held(["a", 1]), 50, LATEST).arrivals)).toEqual(["a2"]);
  });

  test("any arrival order, with duplicates, yields each origin's prefix in order and exactly once", () => {
    const origins = ["a", "b", "c"];
    const versions = 12;
    const item = fc.record({
      origin: fc.constantFrom(...origins),
      version: fc.integer({ min: 1, max: versions }),
      isEmpty: fc.boolean(),
      take: fc.boolean(),
      slice: fc.integer({ min: 1, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 150 }), (items) => {
        const inbox = new Inbox(defaultGossipConfig);
        const holdings = new Map<OriginId, Holding>();
        const offered = new Map(origins.map((origin) => [origin, Ranges.empty]));
        const applied: Record<string, number[]> = { a: [], b: [], c: [] };
        const take = (slice: number): boolean => {
          const { arrivals, more } = inbox.takeReady(holdings, slice, LATEST);
          for (const it of arrivals) {
            const [origin, got] =
              it.kind === "change"
                ? [it.change.origin, Ranges.of(it.change.version, it.change.version)]
                : [it.empty.origin, it.empty.versions];
            for (const [low, high] of got.spans) for (let v = low; v <= high; v++) applied[origin]?.push(v);
            holdings.set(origin, holdAlso(holdings.get(origin) ?? NO_HOLDING, got));
          }
          return more;
        };
        for (const { origin, version, isEmpty, take: now, slice } of items) {
          const isHeld = version <= (holdings.get(origin)?.head ?? 0);
          offered.set(origin, (offered.get(origin) ?? Ranges.empty).union(Ranges.of(version, version)));
          if (isEmpty) inbox.offerEmpty({ origin, versions: Ranges.of(version, version) }, holdings);
          else if (!isHeld) inbox.offer(change(origin, version), holdings);
          if (now) take(slice);
        }
        while (take(100));
        for (const [origin, all] of offered) {
          const prefix = all.spans[0]?.[0] === 1 ? (all.spans[0]?.[1] ?? 0) : 0;
          expect(applied[origin]).toEqual(Array.from({ length: prefix }, (_, i) => i + 1));
          const parked = inbox.parkedVersions(origin);
          expect(parked.toString()).toBe(all.subtract(Ranges.of(1, prefix)).toString());
        }
        const left = origins.reduce((sum, origin) => sum + inbox.parkedVersions(origin).size, 0);
        if (left === 0) expect(inbox.parkedBytes).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("bounds", () => {
  const config: GossipConfig = { ...testGossipConfig, parkedVersionsMax: 8, parkedBytesMax: 1000 };

  test("what does not fit is dropped and counted, but the next in line always fits", () => {
    const inbox = new Inbox(config);
    for (let version = 2; version <= 20; version++) inbox.offer(change("a", version), NOTHING);
    expect(inbox.parkedVersions("a").toString()).toBe("2-9");
    expect(inbox.droppedCount).toBe(11);
    inbox.offer(change("a", 1), NOTHING);
    expect(named(inbox.takeReady(NOTHING, 10_000, LATEST).arrivals).length).toBe(9);
    expect(inbox.parkedBytes).toBe(0);
  });

  test("bytes are bounded like versions", () => {
    const inbox = new Inbox(config);
    for (let version = 2; version <= 9; version++) inbox.offer(change("a", version, 400), NOTHING);
    expect(inbox.parkedBytes).toBeLessThanOrEqual(1000);
    expect(inbox.parkedVersions("a").toString()).toBe("2-3");
  });

  test("ranges said to be empty are bounded over all origins, but those next in line always fit", () => {
    const inbox = new Inbox(config);
    const far = (i: number): Ranges => Ranges.of(10 * i + 10, 10 * i + 11);
    for (let i = 0; i < 100; i++) inbox.offerEmpty({ origin: `o${i % 5}`, versions: far(i) }, NOTHING);
    const parked = Array.from({ length: 5 }, (_, i) => inbox.parkedVersions(`o${i}`).spanCount);
    expect(parked.reduce((sum, spans) => sum + spans, 0)).toBe(8);
    expect(inbox.droppedCount).toBe(92);
    inbox.offerEmpty({ origin: "new", versions: Ranges.from([[1, 5], [50, 60]]) }, NOTHING); // prettier-ignore
    expect(named(inbox.takeReady(NOTHING, 100, LATEST).arrivals)).toEqual(["new1-5 empty"]);
  });

  test("room that was taken is given back", () => {
    const inbox = new Inbox(config);
    for (let i = 0; i < 50; i++) {
      const holdings = held(["a", 10 * i]);
      inbox.offerEmpty({ origin: "a", versions: Ranges.from([[10 * i + 2, 10 * i + 2], [10 * i + 4, 10 * i + 10]]) }, holdings); // prettier-ignore
      inbox.offer(change("a", 10 * i + 1), holdings);
      inbox.offer(change("a", 10 * i + 3), holdings);
      expect(named(inbox.takeReady(holdings, 10_000, LATEST).arrivals).length).toBe(4);
    }
    expect([inbox.droppedCount, inbox.parkedBytes]).toEqual([0, 0]);
  });
});
