/**
 * A resolution that ended with kept answers alone, and stands: until its outlook, its routes or one of those answers is
 * another, or too old, whoever asks the same is told the same, with the ages of that moment.
 */
import type { Fib, Route } from "../fib.js";
import type { Placement } from "../merge.js";
import type { Plan } from "../plan.js";
import { ageOf, type Answers, type Kept } from "./answers.js";
import type { ResolutionEffect } from "./resolution.js";

/** What a plan is made from, but for the clock. */
export interface Ground {
  /** The edition of the outlook. */
  readonly edition: number;
  readonly fib: Fib;
  readonly answers: Answers;
}

type Done = Extract<ResolutionEffect, { kind: "done" }>;

export class Standing {
  readonly done: Done;
  readonly #plan: Plan;
  readonly #edition: number;
  readonly #routes: readonly Route[];
  readonly #said: readonly Kept[];
  readonly #here: readonly Kept[];
  readonly #oldest: Kept;
  /** The map and the answers as they were when all of this was last compared: while they are, there is nothing to compare. */
  #fibThen: unknown;
  #answersThen: unknown;
  readonly #ageMaxMs: number;

  /** Undefined where the index speaks for a region: its age is in many places. */
  static of(plan: Plan, done: Done, ground: Ground): Standing | undefined {
    const isKept = ({ regions }: Placement): boolean => regions.every(({ source }) => source === "kept");
    if (plan.unasked.length > 0 || plan.asks.length === 0 || !isKept(done.placement)) return undefined;
    const said = plan.asks.flatMap(({ region }) => {
      return ground.answers.find(plan.app, region, plan.keptMaxMs, plan.plannedMs) ?? [];
    });
    return said.length < plan.asks.length ? undefined : new Standing(plan, done, ground, said);
  }

  private constructor(plan: Plan, done: Done, { edition, fib, answers }: Ground, said: readonly Kept[]) {
    this.done = done;
    this.#plan = plan;
    this.#edition = edition;
    this.#routes = fib.lookup(plan.app);
    this.#said = said;
    this.#here = said.filter(({ answer }) => answer.outcome === "here");
    this.#oldest = said.reduce((a, b) => (a.atMs < b.atMs ? a : b));
    this.#ageMaxMs = answers.ageMaxMs(plan.keptMaxMs);
  }

  /** The ages of the placement's regions, in its order; undefined once it no longer stands. */
  agesAt(nowMs: number, ground: Ground): number[] | undefined {
    if (ground.edition !== this.#edition || ageOf(this.#oldest, nowMs) > this.#ageMaxMs) return undefined;
    if (!this.#standsOn(ground)) return undefined;
    return this.#here.map((kept) => ageOf(kept, nowMs));
  }

  #standsOn({ fib, answers }: Ground): boolean {
    if (fib.edition === this.#fibThen && answers.edition === this.#answersThen) return true;
    const { app, asks } = this.#plan;
    if (fib.lookup(app) !== this.#routes) return false;
    if (asks.some(({ region }, i) => answers.at(app, region) !== this.#said[i])) return false;
    this.#fibThen = fib.edition;
    this.#answersThen = answers.edition;
    return true;
  }
}
