/**
 * A resolution that ended with kept answers alone, and stands: until its outlook, its routes or one of those answers is
 * another, or too old, whoever asks the same is told the same, with the ages of that moment.
 */
import type { Route } from "../fib.js";
import type { Placement } from "../merge.js";
import type { Plan } from "../plan.js";
import type { Answers, Kept } from "./answers.js";
import type { ResolutionEffect } from "./resolution.js";

export interface Standing {
  readonly done: Extract<ResolutionEffect, { kind: "done" }>;
  readonly plan: Plan;
  readonly ground: Ground;
  /** What each region of the plan had said. */
  readonly said: readonly (Kept | undefined)[];
}

/** What the plan was made from, but for the clock: the edition of the outlook, and the app's routes. */
export interface Ground {
  readonly edition: number;
  readonly routes: readonly Route[];
}

/** Undefined where the index speaks for a region: its age is in many places. */
export function standingOf(plan: Plan, done: Standing["done"], ground: Ground, answers: Answers): Standing | undefined {
  const isKept = ({ regions }: Placement): boolean => regions.every(({ source }) => source === "kept");
  if (plan.unasked.length > 0 || plan.asks.length === 0 || !isKept(done.placement)) return undefined;
  const said = plan.asks.map(({ region }) => answers.find(plan.app, region, plan.keptMaxMs, plan.plannedMs));
  return { done, plan, ground, said };
}

/** The ages of the placement's regions, in its order; undefined once it no longer stands. */
export function agesNow(
  { plan, ground: { edition, routes }, said }: Standing,
  ground: Ground,
  answers: Answers,
  nowMs: number,
): number[] | undefined {
  if (edition !== ground.edition || routes !== ground.routes) return undefined;
  const { app, asks, keptMaxMs } = plan;
  const ages: number[] = [];
  for (let i = 0; i < asks.length; i++) {
    const kept = answers.find(app, asks[i]?.region ?? "", keptMaxMs, nowMs);
    if (kept === undefined || kept !== said[i]) return undefined;
    if (kept.answer.outcome !== "here") continue;
    if (kept.atMs === nowMs) return undefined; // Of this very moment: it counts as live.
    ages.push(nowMs - kept.atMs);
  }
  return ages;
}
