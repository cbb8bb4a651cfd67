/**
 * From the regions' answers, and the index where a region gave none, to one placement. The region is the authority: what
 * it denies is out, whatever the index says. A region that could not be asked costs nobody else's rows; what the index
 * has of it is given, with its age, and the region is named. `absent` is a claim, and needs proof from every region.
 */
import type { Now } from "@patina/base";
import type { PlacementClass } from "./fib.js";
import type { Grade } from "./grade.js";
import type { Ask, Missing, Plan } from "./plan.js";

/** One machine, as the region's own tables have it: nothing here reads it. */
export type InstanceRow = Readonly<Record<string, unknown>>;

export type RegionAnswer =
  | {
      readonly region: string;
      readonly outcome: "here";
      readonly generation: number;
      readonly machines: readonly InstanceRow[];
      /** 0 unless the answer is a kept one. */
      readonly ageMs: number;
      /** The region holds the write that was waited for. */
      readonly hasWaited?: boolean;
    }
  | {
      readonly region: string;
      readonly outcome: "not-here";
      readonly generation: number;
      readonly hasWaited?: boolean;
    }
  | { readonly region: string; readonly outcome: "unreachable"; readonly reason: string };

export interface PlacedRegion {
  readonly region: string;
  /** As indexed: undefined when only the region itself told of the app. */
  readonly class: PlacementClass | undefined;
  readonly grade: Grade;
  readonly ageMs: number;
  readonly source: "region" | "kept" | "index";
  /** None from the index. */
  readonly instances: readonly InstanceRow[];
  /** What a reader should know about this part of the answer. */
  readonly note?: string;
}

export interface Placement {
  readonly app: string;
  readonly result: "found" | "absent" | "unknown";
  /** Whether every region that may have the app has answered, or is known not to have it. */
  readonly complete: boolean;
  /** Those that answered first, and among them the plan's order of preference. */
  readonly regions: readonly PlacedRegion[];
  /** Regions that did not answer for themselves, and why. One may be in `regions` too, from the index. */
  readonly missing: readonly Missing[];
  /** When a write was waited for: whether a region that holds it has answered. While none has, nothing is complete. */
  readonly hasWaited?: boolean;
}

/** The index has a route that its region denies. Feed it back, so that the next resolution need not ask. */
export interface Correction {
  readonly app: string;
  readonly region: string;
  readonly generation: number;
}

type Part = { readonly placed?: PlacedRegion; readonly missing?: Missing };

/** Merges what came, in any order and number; answers of regions that were not asked do not count. */
export function mergeAnswers(plan: Plan, answers: readonly RegionAnswer[], now: Now): Placement {
  const answered = firstByRegion(answers);
  const elapsedMs = Math.max(0, now.monotonicMs - plan.plannedMs);
  const parts = [
    ...plan.asks.map((ask) => partOf(plan, ask, answered.get(ask.region), elapsedMs)),
    ...plan.fallback.map((ask) => partOf(plan, ask, answered.get(ask.region) ?? notAsked(ask), elapsedMs)),
    ...plan.unasked.map(({ ask, note }) => partFromIndex(plan, ask, note, elapsedMs)),
  ];
  const placed = parts.flatMap((part) => part.placed ?? []);
  const regions = [...placed.filter(isFromRegion), ...placed.filter((each) => !isFromRegion(each))];
  const missing = [...parts.flatMap((part) => part.missing ?? []), ...plan.missing];
  const waited = plan.wait === undefined ? {} : { hasWaited: answers.some(hasWaitedFor) };
  const complete = plan.complete && missing.length === 0 && waited.hasWaited !== false;
  const empty = complete ? "absent" : "unknown";
  return { app: plan.app, result: regions.length > 0 ? "found" : empty, complete, regions, missing, ...waited };
}

/** The routes that their regions denied, in the plan's order. */
export function correctionsOf(plan: Plan, answers: readonly RegionAnswer[]): Correction[] {
  const answered = firstByRegion(answers);
  return plan.asks.flatMap((ask) => {
    const answer = answered.get(ask.region);
    if (ask.reason !== "index" || answer?.outcome !== "not-here" || answer.generation < ask.generation) return [];
    return [{ app: plan.app, region: ask.region, generation: answer.generation }];
  });
}

function partOf(plan: Plan, ask: Ask, answer: RegionAnswer | undefined, elapsedMs: number): Part {
  if (answer === undefined) return partFromIndex(plan, ask, "no answer", elapsedMs);
  if (answer.outcome === "unreachable") return partFromIndex(plan, ask, answer.reason, elapsedMs);
  if (answer.generation < ask.generation) {
    const note = `answered from generation ${answer.generation}, which ${ask.generation} has replaced`;
    return partFromIndex(plan, ask, note, elapsedMs);
  }
  if (answer.outcome === "not-here") return {};
  const { region, machines, ageMs } = answer;
  if (ageMs > plan.maxAgeMs) return { missing: { region, reason: `its answer is ${Math.round(ageMs)} ms old` } };
  const instances = machines.slice(0, plan.instancesMax);
  const said =
    ageMs === 0 ? ({ grade: "live", source: "region" } as const) : ({ grade: "fresh", source: "kept" } as const);
  const placed: PlacedRegion = { region, class: ask.class, ageMs, ...said, instances };
  if (instances.length === machines.length) return { placed };
  return { placed: { ...placed, note: `the first ${instances.length} of ${machines.length} instances` } };
}

/** The region did not speak for itself. Its route is better than nothing, if the caller takes one of this age. */
function partFromIndex(plan: Plan, ask: Ask, note: string, elapsedMs: number): Part {
  const { region, grade } = ask;
  if (ask.reason === "probe") return { missing: { region, reason: note } };
  const ageMs = Math.ceil(ask.ageMs + elapsedMs);
  if (plan.requireLive) return { missing: { region, reason: `${note}; only live answers were asked for` } };
  if (ageMs > plan.maxAgeMs) {
    return { missing: { region, reason: `${note}; the index last heard of it ${Math.round(ageMs)} ms ago` } };
  }
  const placed: PlacedRegion = { region, class: ask.class, grade, ageMs, source: "index", instances: [], note };
  return { placed, missing: { region, reason: note } };
}

/** The fallback waits until nobody else has the app; until then its regions are a gap. */
function notAsked({ region, grade }: Ask): RegionAnswer {
  return { region, outcome: "unreachable", reason: `not asked, and its part of the map is ${grade}` };
}

function hasWaitedFor(answer: RegionAnswer): boolean {
  return answer.outcome !== "unreachable" && answer.hasWaited === true;
}

function isFromRegion({ source }: PlacedRegion): boolean {
  return source !== "index";
}

function firstByRegion(answers: readonly RegionAnswer[]): ReadonlyMap<string, RegionAnswer> {
  const byRegion = new Map<string, RegionAnswer>();
  for (const answer of answers) if (!byRegion.has(answer.region)) byRegion.set(answer.region, answer);
  return byRegion;
}
