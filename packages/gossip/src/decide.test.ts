/** What to ask for, what to push and whom to compare with: the decisions of gossip, each against what it must achieve. */
import { type Change, changeBytes, type Holding, heldVersions, holdAlso, NO_HOLDING, type Now, type OriginId, type Range, Ranges, Rng } from "@patina/base"; // prettier-ignore
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AntiEntropy } from "./anti-entropy.js";
import { Broadcast, packChanges } from "./broadcast.js";
import { testGossipConfig as config } from "./config.js";
import { canHelp, needFrom } from "./need.js";

const ranges = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(6)), { maxLength: 5 })
  .map((spans) => Ranges.from(spans.map(([low, more]): Range => [low, low + more])));
const holdings = fc.dictionary(fc.constantFrom("a", "b", "c"), ranges).map((held) => {
  return new Map(Object.entries(held).map(([origin, versions]): [string, Holding] => [origin, holdAlso(NO_HOLDING, versions)])); // prettier-ignore
});
const of = (map: ReadonlyMap<string, Holding>, origin: string): Ranges => heldVersions(map.get(origin) ?? NO_HOLDING);
const none = (): Ranges => Ranges.empty;
const at = (monotonicMs: number): Now => ({ monotonicMs, wallMs: 0 });
const change = (version: number, bytes = 10): Change => {
  return { origin: "a", version, hlc: 1n, body: new Uint8Array(bytes) };
};

describe("need", () => {
  test("asks for what the peer has, I lack and is not on its way: each once, within the limit, and never in vain", () => {
    fc.assert(
      fc.property(holdings, holdings, holdings, fc.integer({ min: 1, max: 30 }), (mine, theirs, coming, max) => {
        const skip = (origin: OriginId): Ranges => of(coming, origin);
        const need = needFrom(mine, theirs, max, skip);
        let all = 0;
        for (const origin of ["a", "b", "c"]) {
          const wanted = need.filter((it) => it.origin === origin);
          expect(wanted.length).toBeLessThanOrEqual(1);
          const useful = of(theirs, origin).subtract(of(mine, origin)).subtract(skip(origin));
          all += useful.size;
          const versions = wanted[0]?.versions ?? Ranges.empty;
          expect(versions.toString()).toBe(useful.take(versions.size).toString());
        }
        const asked = need.reduce((sum, { versions }) => sum + versions.size, 0);
        expect(asked).toBe(Math.min(all, max));
      }),
      { numRuns: 300 },
    );
  });

  test("rounds of asking and getting end with both sides equal, and canHelp says when", () => {
    fc.assert(
      fc.property(holdings, holdings, (left, right) => {
        for (let round = 0; round < 200; round++) {
          const [toLeft, toRight] = [needFrom(left, right, 7, none), needFrom(right, left, 7, none)];
          expect(canHelp(right, left)).toBe(toLeft.length > 0);
          if (toLeft.length + toRight.length === 0) break;
          for (const [side, got] of [
            [left, toLeft],
            [right, toRight],
          ] as const) {
            // prettier-ignore
            for (const { origin, versions } of got) side.set(origin, holdAlso(side.get(origin) ?? NO_HOLDING, versions));
          }
        }
        for (const origin of ["a", "b", "c"]) expect(of(left, origin).toString()).toBe(of(right, origin).toString());
      }),
      { numRuns: 100 },
    );
  });

  test("a holding up to the last version there can be costs no more than any other", () => {
    const theirs = new Map([["a", { head: Number.MAX_SAFE_INTEGER - 1, gaps: Ranges.empty }]]);
    expect(needFrom(new Map(), theirs, 5, none)).toEqual([{ origin: "a", versions: Ranges.of(1, 5) }]);
    expect(canHelp(theirs, new Map())).toBe(true);
  });
});

describe("broadcast", () => {
  test("the first change goes at once, followers go together, and after a quiet moment it is as before", () => {
    const broadcast = new Broadcast(config);
    const wakeAfterMs = config.coalesceMs;
    expect(broadcast.offer([])).toEqual({ batches: [], isUrgent: false, wakeAfterMs: undefined });
    expect(broadcast.offer([change(1)])).toEqual({ batches: [[change(1)]], isUrgent: false, wakeAfterMs });
    expect(broadcast.offer([change(2)])).toEqual({ batches: [], isUrgent: false, wakeAfterMs: undefined });
    expect(broadcast.offer([change(3)])).toEqual({ batches: [], isUrgent: false, wakeAfterMs: undefined });
    expect(broadcast.onWake()).toEqual({ batches: [[change(2), change(3)]], isUrgent: false, wakeAfterMs });
    expect(broadcast.onWake()).toEqual({ batches: [], isUrgent: false, wakeAfterMs: undefined });
    expect(broadcast.offer([change(4)])).toEqual({ batches: [[change(4)]], isUrgent: false, wakeAfterMs });
  });

  test("a batch that is full goes without waiting, and only one timer ever runs", () => {
    const broadcast = new Broadcast(config);
    broadcast.offer([change(1)]);
    const { batches, wakeAfterMs } = broadcast.offer([change(2, config.coalesceBytesMax)]);
    expect([batches.flat().length, wakeAfterMs]).toEqual([1, undefined]);
    expect(broadcast.offer([change(3)]).batches).toEqual([]);
    expect(broadcast.onWake().batches.flat().map((it) => it.version)).toEqual([3]); // prettier-ignore
  });

  test("everything offered is sent once and in order, whatever the sizes and the timing, and never more than one wake is due", () => {
    const step = fc.oneof(
      fc.record({ sizes: fc.array(fc.nat(400), { maxLength: 4 }) }),
      fc.record({ wake: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const broadcast = new Broadcast(config);
        const sent: Change[] = [];
        let [offered, due] = [0, 0];
        const run = (it: ReturnType<Broadcast["onWake"]>): void => {
          sent.push(...it.batches.flat());
          if (it.wakeAfterMs !== undefined) due++;
          expect(due).toBeLessThanOrEqual(1);
        };
        for (const it of steps) {
          if ("sizes" in it) run(broadcast.offer(it.sizes.map((size) => change(++offered, size))));
          else if (due > 0) {
            due--;
            run(broadcast.onWake());
          }
        }
        while (due > 0) {
          due--;
          run(broadcast.onWake());
        }
        expect(sent.map(({ version }) => version)).toEqual(Array.from({ length: offered }, (_, i) => i + 1));
      }),
    );
  });

  test("frames hold as much as fits and at least one change", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(900), { maxLength: 30 }), (sizes) => {
        const changes = sizes.map((size, i) => change(i + 1, size));
        const frames = packChanges(changes, config.frameBytesMax);
        expect(frames.flat()).toEqual(changes);
        const bytes = frames.map((frame) => frame.reduce((sum, it) => sum + changeBytes(it), 0));
        frames.forEach((frame, i) => {
          expect(frame.length).toBeGreaterThan(0);
          expect(frame.length === 1 || (bytes[i] ?? 0) <= config.frameBytesMax).toBe(true);
          const next = frames[i + 1]?.[0];
          if (next !== undefined) expect((bytes[i] ?? 0) + changeBytes(next)).toBeGreaterThan(config.frameBytesMax);
        });
      }),
    );
  });
});

describe("anti-entropy", () => {
  const peers = ["p1", "p2", "p3"];
  const antiEntropy = (): AntiEntropy => new AntiEntropy(config, new Rng(1));

  test("one round at a time: no other begins until the peer answered, was lost, or took too long", () => {
    const it = antiEntropy();
    const first = it.pickPeer(peers, at(0)) ?? "";
    expect(peers).toContain(first);
    expect(it.pickPeer(peers, at(config.syncTimeoutMs - 1))).toBeUndefined();
    expect(it.pickPeer(peers, at(config.syncTimeoutMs))).toBeDefined();
    it.begin("p1", at(10_000));
    it.onAnswer("p2", at(10_000)); // Another's answer does not end p1's round.
    expect(it.pickPeer(peers, at(10_001))).toBeUndefined();
    it.onAnswer("p1", at(10_001));
    expect(it.pickPeer(["p2"], at(10_001))).toBe("p2");
    it.forgetPeer("p2");
    expect(it.pickPeer(["p3"], at(10_001))).toBe("p3");
  });

  test("nobody to compare with begins no round", () => {
    const it = antiEntropy();
    expect(it.pickPeer([], at(0))).toBeUndefined();
    expect(it.pickPeer(["p1"], at(0))).toBe("p1");
  });

  test("every peer's turn comes: nobody waits for more than a few rounds", () => {
    const it = antiEntropy();
    const all = Array.from({ length: 10 }, (_, i) => `p${i}`);
    const last = new Map(all.map((peer) => [peer, 0]));
    for (let round = 1; round <= 400; round++) {
      const peer = it.pickPeer(all, at(round * 1000)) ?? "";
      it.onAnswer(peer, at(round * 1000));
      last.set(peer, round);
      for (const seen of last.values()) expect(round - seen).toBeLessThan(60);
    }
    const waits = Array.from({ length: 200 }, () => it.nextRoundAfterMs());
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(config.syncIntervalMinMs);
    expect(Math.max(...waits)).toBeLessThanOrEqual(config.syncIntervalMaxMs);
    expect(new Set(waits).size).toBeGreaterThan(100);
  });

  test("what was asked is on its way until it is answered, its peer is gone, or its time is up", () => {
    const it = antiEntropy();
    const ask = (peer: string, low: number, high: number, ms: number): void =>
      it.noteAsked(peer, [{ origin: "a", versions: Ranges.of(low, high) }], at(ms), config.wantTimeoutMs);
    ask("p1", 1, 5, 0);
    ask("p2", 6, 9, 1000);
    expect(it.asked("a", at(1000)).toString()).toBe("1-9");
    expect(it.asked("a", at(config.wantTimeoutMs)).toString()).toBe("6-9");
    expect(it.asked("b", at(0)).isEmpty).toBe(true);
    ask("p3", 20, 20, 1000);
    it.onRepaired("p2");
    expect(it.asked("a", at(1000)).toString()).toBe("1-5,20");
    it.forgetPeer("p3");
    expect(it.asked("a", at(1000)).toString()).toBe("1-5");
  });

  test("an answer is one to the first request: later ones of the same peer are still on their way", () => {
    const it = antiEntropy();
    it.noteAsked("p1", [{ origin: "o1", versions: Ranges.of(1, 5) }], at(0), 500);
    it.noteAsked("p1", [{ origin: "o1", versions: Ranges.of(6, 9) }], at(1), 500);
    it.onRepaired("p1");
    expect(it.asked("o1", at(2)).toString()).toBe(Ranges.of(6, 9).toString());
    it.onRepaired("p1");
    expect(it.asked("o1", at(2)).isEmpty).toBe(true);
  });
});
