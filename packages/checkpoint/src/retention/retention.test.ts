/**
 * What retention promises, over any history: three verified bases once there were three, whole chains, and nothing that grows
 * old while nothing new can be taken.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Level, LEVELS, manifestIdFor } from "../manifest/keys.js";
import { objectionsTo } from "./objections.js";
import { paced } from "./pace.js";
import { RETENTION_POLICIES } from "./policy.js";
import { decideRetention, type HeldCheckpoint, type RetentionFacts } from "./retention.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);
const policy = RETENTION_POLICIES.standard;

let made = 0;
function checkpoint(takenAtMs: number, level: Level = "base", parent: string | null = null, generation = 1) {
  const id = manifestIdFor({ generation, takenAtMs, level }, (made++).toString(16).padStart(64, "0").split("").reverse().join("")); // prettier-ignore
  return { id, level, parent, generation, takenAtMs } satisfies HeldCheckpoint;
}

function decide(held: readonly HeldCheckpoint[], facts: Partial<RetentionFacts> = {}) {
  const nowMs = Math.max(...held.map((it) => it.takenAtMs));
  const verified = new Set(held.filter(({ level }) => level === "base").map(({ id }) => id));
  return decideRetention({ held, verified, pinned: new Map(), nowMs, ...facts }, policy);
}

const ids = (verdicts: readonly { readonly id: string }[]): string[] => verdicts.map(({ id }) => id);
const dailyBases = (days: number): HeldCheckpoint[] =>
  Array.from({ length: days }, (_, day) => checkpoint(START + day * DAY));

describe("of daily bases over two years", () => {
  const bases = dailyBases(730);
  const { keep, go } = decide(bases);

  test("seven days, five weeks and twelve months have one left, and every other goes", () => {
    const of = (why: string): number => keep.filter((it) => it.why === why).length;
    expect(keep.length + go.length).toBe(730);
    expect(keep.slice(0, 7).map(({ id }) => id)).toEqual(ids(bases.slice(-7).reverse()));
    expect(of("weekly")).toBeGreaterThanOrEqual(3);
    expect(of("monthly")).toBeGreaterThanOrEqual(10);
    expect(keep.length).toBeLessThanOrEqual(7 + 5 + 12);
  });

  test("a month without any checkpoint changes nothing", () => {
    const later = decide(bases, { nowMs: START + 1000 * DAY });
    expect(ids(later.go)).toEqual(ids(go));
  });
});

test("deltas go by the newest checkpoint's time, and stay with what is applied after them", () => {
  const base = checkpoint(START);
  const d2 = checkpoint(START + HOUR, "d2", base.id);
  const lone = checkpoint(START + HOUR + 1, "d0", base.id);
  const needed = checkpoint(START + 2 * HOUR, "d0", d2.id);
  const last = checkpoint(START + 3 * HOUR, "d0", needed.id);
  const facts = { verified: new Set<string>() };
  expect(ids(decide([base, d2, lone, needed, last], { ...facts, nowMs: START + 90 * DAY }).go)).toEqual([]);
  const bases = [50, 51, 52].map((hours) => checkpoint(START + hours * HOUR));
  const all = [base, d2, lone, needed, last, ...bases];
  const verified = new Set(ids(bases));
  // 49 h after `last`: it and what only it needs is over. 14 days keep the d2, and with it the base.
  expect(ids(decide(all, { verified }).go).sort()).toEqual(ids([lone, needed, last]).sort());
  const pinned = new Map([[last.id, "it is being restored"]]);
  expect(ids(decide(all, { verified, pinned }).go)).toEqual([lone.id]);
});

test("a base that nobody restored counts for nothing, and stays while it may still be", () => {
  const bases = dailyBases(20);
  const verified = new Set(ids([bases[2], bases[5], bases[9]] as HeldCheckpoint[]));
  const { keep, go } = decide(bases, { verified });
  expect(ids(keep)).toEqual(expect.arrayContaining([...verified, ...ids(bases.slice(10))]));
  expect(go).toHaveLength(7);
  const two = new Set([...verified].slice(0, 2));
  expect(decide(bases, { verified: two }).go).toEqual([]);
});

test("an older generation is older, whatever its clock said", () => {
  const wrong = dailyBases(4).map((it) => checkpoint(it.takenAtMs + 4000 * DAY, "base", null, 1));
  const right = dailyBases(3).map((it) => checkpoint(it.takenAtMs, "base", null, 2));
  const { keep } = decide([...wrong, ...right], { nowMs: START + 3 * DAY });
  expect(ids(keep).slice(0, 3)).toEqual(ids(right).reverse());
});

test("of many bases that would go, the oldest quarter does, and the others follow once it is marked", () => {
  const held = dailyBases(40);
  const decided = decide(held);
  const all = ids(decided.go);
  const sizes: number[] = [];
  const marked = new Set<string>();
  while (marked.size < all.length) {
    const { go, keep } = paced(decided, held, marked);
    expect([...ids(go), ...ids(keep)].sort()).toEqual(ids(held).sort());
    const fresh = ids(go).filter((id) => !marked.has(id));
    expect(fresh).toEqual(all.filter((id) => !marked.has(id)).slice(-fresh.length));
    sizes.push(fresh.length);
    for (const id of fresh) marked.add(id);
  }
  expect(sizes).toEqual([10, 10, all.length - 20]);
});

test("of few bases one goes at a time", () => {
  const held = [checkpoint(START), checkpoint(START + 1), checkpoint(START + 2)];
  const go = ids(held).reverse().map((id) => ({ id, why: "old" })); // prettier-ignore
  const { go: goes, keep } = paced({ asOfMs: START, keep: [], go }, held, new Set());
  expect([ids(goes), ids(keep).length]).toEqual([[held[0]?.id], 2]);
});

test("it is objected that the store lists less than the cluster knows, save what has grown old", () => {
  const held = dailyBases(3);
  const gone = checkpoint(START + 2 * DAY - HOUR, "d0", held[1]?.id);
  const old = checkpoint(START - DAY, "d0");
  const noted = ids([gone, old, ...held]);
  expect(objectionsTo(decide(held), policy, { held, noted })).toEqual([expect.stringContaining(gone.id)]);
});

test("what a wrong clock dated ahead stays, and stands for nothing", () => {
  const right = dailyBases(12);
  const nowMs = START + 12 * DAY;
  const ahead = checkpoint(nowMs + 300 * DAY);
  const [without, beside] = [decide(right, { nowMs }), decide([...right, ahead], { nowMs })];
  expect(ids(beside.keep)).toEqual([ahead.id, ...ids(without.keep)]);
  expect(ids(beside.go)).toEqual(ids(without.go));
});

/** A cluster's history, step by step. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("take" as const), level: fc.constantFrom(...LEVELS), afterMs: fc.integer({ min: 1, max: 2 * DAY }) }) }, // prettier-ignore
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("verify" as const), back: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("jump" as const), byMs: fc.integer({ min: -40 * DAY, max: 60 * DAY }) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("generation" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail" as const), forMs: fc.integer({ min: 1, max: 90 * DAY }) }) }, // prettier-ignore
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("prune" as const) }) },
);

test("over any history there are three verified bases once there were, and every chain is whole", () => {
  let pruned = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
      let nowMs = START;
      let generation = 1;
      let held: HeldCheckpoint[] = [];
      const verified = new Set<string>();
      for (const it of steps) {
        const ofGeneration = held.filter((one) => one.generation === generation);
        if (it.kind === "take") {
          nowMs += it.afterMs;
          const longer = LEVELS.slice(0, LEVELS.indexOf(it.level) + 1);
          const parent = ofGeneration.filter(({ level }) => longer.includes(level)).at(-1);
          const isBase = it.level === "base" || parent === undefined || parent.takenAtMs > nowMs;
          held.push(checkpoint(nowMs, isBase ? "base" : it.level, isBase ? null : parent.id, generation));
        } else if (it.kind === "verify") {
          const base = held.filter(({ level }) => level === "base").at(-1 - it.back);
          if (base !== undefined) verified.add(base.id);
        } else if (it.kind === "jump") nowMs = Math.max(START, nowMs + it.byMs);
        else if (it.kind === "generation") generation++;
        else if (it.kind === "fail") nowMs += it.forMs;
        else {
          const { go, asOfMs } = decideRetention({ held, verified, pinned: new Map(), nowMs }, policy);
          const newest = held
            .filter((one) => verified.has(one.id))
            .toSorted(byAge)
            .at(-1);
          const had = held.filter(({ id }) => verified.has(id)).length;
          const gone = new Set(ids(go));
          pruned += gone.size;
          held = held.filter(({ id }) => !gone.has(id));
          expect(held.filter(({ id }) => verified.has(id)).length).toBeGreaterThanOrEqual(Math.min(had, 3));
          if (newest !== undefined) expect(ids(held)).toContain(newest.id);
          const present = new Set(ids(held));
          expect(held.filter(({ parent }) => parent !== null && !present.has(parent))).toEqual([]);
          expect(asOfMs).toBeLessThanOrEqual(nowMs);
        }
      }
    }),
    { numRuns: 400 },
  );
  expect(pruned).toBeGreaterThan(1000);
});

function byAge(a: HeldCheckpoint, b: HeldCheckpoint): number {
  return a.generation - b.generation || a.takenAtMs - b.takenAtMs || (a.id < b.id ? -1 : 1);
}
