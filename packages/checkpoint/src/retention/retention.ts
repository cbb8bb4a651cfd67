/**
 * Which checkpoints go, and why each other one stays. A decision over facts: nothing here reads a store or a clock.
 *
 * Time is the newest checkpoint's, not now: while none can be taken, nothing grows old. Only verified bases count, because
 * a base that nobody restored may be none. And whatever a kept checkpoint stands on is kept.
 */
import { isAhead } from "../manifest/ahead.js";
import { type IdParts, LEVELS } from "../manifest/keys.js";
import type { RetentionPolicy } from "./policy.js";

/** A checkpoint that there is, and what it is applied after. */
export interface HeldCheckpoint extends IdParts {
  readonly id: string;
  readonly parent: string | null;
}

export interface RetentionFacts {
  /** All that the store lists, in any order. */
  readonly held: readonly HeldCheckpoint[];
  /** Bases that were restored and compared. */
  readonly verified: ReadonlySet<string>;
  /** By id, why somebody needs it now. */
  readonly pinned: ReadonlyMap<string, string>;
  /** By the store's clock. */
  readonly nowMs: number;
}

export interface Verdict {
  readonly id: string;
  readonly why: string;
}

export interface Retention {
  /** Ages are reckoned from here. */
  readonly asOfMs: number;
  readonly keep: readonly Verdict[];
  /** The newest first: what is applied after another goes before it. */
  readonly go: readonly Verdict[];
}

const DAY_MS = 86_400_000;
/** 1970 began on a Thursday, weeks begin on Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

type Keep = (id: string | undefined, why: string) => void;

export function decideRetention(facts: RetentionFacts, policy: RetentionPolicy): Retention {
  const all = facts.held.toSorted(byAge).reverse();
  const ahead = all.filter(({ takenAtMs }) => isAhead(takenAtMs, facts.nowMs));
  const newestFirst = all.filter((it) => !ahead.includes(it));
  const asOfMs = Math.max(0, ...newestFirst.map((it) => it.takenAtMs).filter((at) => at <= facts.nowMs));
  const whyById = new Map<string, string>();
  const keep: Keep = (id, why) => {
    if (id !== undefined && !whyById.has(id)) whyById.set(id, why);
  };
  for (const [id, why] of facts.pinned) keep(id, why);
  for (const { id } of ahead) keep(id, "dated ahead, so that its age is not known");
  keepNewest(newestFirst, keep);
  keepBases(newestFirst, facts.verified, policy, keep);
  for (const { id, level, takenAtMs } of newestFirst) {
    if (level !== "base" && asOfMs - takenAtMs <= policy.deltaMs[level]) keep(id, `a ${level} of its time`);
  }
  keepChains(facts.held, whyById);
  const verdicts = all.map(({ id, level }) => ({ id, why: whyById.get(id), gone: whyGone(level, facts, id) }));
  return {
    asOfMs,
    keep: verdicts.flatMap(({ id, why }) => (why === undefined ? [] : [{ id, why }])),
    go: verdicts.flatMap(({ id, why, gone }) => (why === undefined ? [{ id, why: gone }] : [])),
  };
}

/** The next delta of a level follows the newest checkpoint of that level or a longer one, and a restore begins with the newest. */
function keepNewest(newestFirst: readonly HeldCheckpoint[], keep: Keep): void {
  for (const level of LEVELS) {
    const longer = LEVELS.slice(0, LEVELS.indexOf(level) + 1);
    keep(newestFirst.find((it) => longer.includes(it.level))?.id, `the newest ${level} or longer`);
  }
}

function keepBases(
  newestFirst: readonly HeldCheckpoint[],
  verifiedIds: ReadonlySet<string>,
  policy: RetentionPolicy,
  keep: Keep,
): void {
  const bases = newestFirst.filter(({ level }) => level === "base");
  const verified = bases.filter(({ id }) => verifiedIds.has(id));
  const [newest] = verified;
  keep(newest?.id, "the newest verified base");
  for (const { id } of bases.slice(0, newest === undefined ? bases.length : bases.indexOf(newest)))
    keep(id, "newer than any verified base");
  keepFirstOf(verified, policy.daily, dayOf, "daily", keep);
  keepFirstOf(verified, policy.weekly, weekOf, "weekly", keep);
  keepFirstOf(verified, policy.monthly, monthOf, "monthly", keep);
  for (const { id } of verified.slice(0, policy.verifiedMin)) keep(id, `one of ${policy.verifiedMin} verified bases`);
  keep(
    verified.find((it) => newest !== undefined && dayOf(it) !== dayOf(newest))?.id,
    "a verified base of another day",
  );
  if (verified.length >= policy.verifiedMin) return;
  for (const { id } of bases) keep(id, `there are fewer than ${policy.verifiedMin} verified bases`);
}

function keepFirstOf(
  newestFirst: readonly HeldCheckpoint[],
  periods: number,
  periodOf: (it: HeldCheckpoint) => number,
  why: string,
  keep: Keep,
): void {
  const seen = new Set<number>();
  for (const it of newestFirst) {
    if (seen.size >= periods) return;
    if (seen.has(periodOf(it))) continue;
    seen.add(periodOf(it));
    keep(it.id, why);
  }
}

function keepChains(held: readonly HeldCheckpoint[], whyById: Map<string, string>): void {
  const byId = new Map(held.map((it) => [it.id, it]));
  for (const id of [...whyById.keys()]) {
    let parent = byId.get(id)?.parent ?? undefined;
    while (parent !== undefined && !whyById.has(parent)) {
      whyById.set(parent, "a kept one is applied after it");
      parent = byId.get(parent)?.parent ?? undefined;
    }
  }
}

function whyGone(level: HeldCheckpoint["level"], { verified }: RetentionFacts, id: string): string {
  if (level !== "base") return `a ${level} whose time is over`;
  return verified.has(id) ? "a newer base stands for its day, week and month" : "never verified, and newer ones are";
}

/** By generation, then by time, as an id tells it: never by what a store says of an object's age. */
function byAge(a: HeldCheckpoint, b: HeldCheckpoint): number {
  return a.generation - b.generation || a.takenAtMs - b.takenAtMs || (a.id < b.id ? -1 : 1);
}

function dayOf({ takenAtMs }: HeldCheckpoint): number {
  return Math.floor(takenAtMs / DAY_MS);
}

function weekOf({ takenAtMs }: HeldCheckpoint): number {
  return Math.floor((takenAtMs - FIRST_MONDAY_MS) / (7 * DAY_MS));
}

function monthOf({ takenAtMs }: HeldCheckpoint): number {
  const at = new Date(takenAtMs);
  return at.getUTCFullYear() * 12 + at.getUTCMonth();
}
