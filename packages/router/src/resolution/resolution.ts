/**
 * One resolution from its plan to a placement:
 *
 *   asks, side by side ──somebody has it, or nobody is left to ask──► done
 *        └──nobody has it──► fallback, side by side ──► done
 *
 * Each region is a leg: kept answers first, if the caller accepts them; then its agents, hedged. A region whose circuit is
 * open is skipped, and a kept denial believed, unless that would leave nobody to ask: the last candidate is tried anyway.
 * The driver performs the effects and tells what came; whatever arrives after `done` is a no-op.
 */
import type { Now } from "@patina/base";
import type { RouterConfig } from "../config.js";
import { type Correction, correctionsOf, mergeAnswers, type Placement } from "../merge.js";
import type { Ask, Plan } from "../plan.js";
import type { RegionHealth } from "../regions/region-health.js";
import type { Answers, GivenAnswer } from "./answers.js";
import { Leg } from "./leg.js";

export type ResolutionInput =
  | { readonly kind: "answered"; readonly api: string; readonly answer: GivenAnswer }
  | { readonly kind: "failed"; readonly region: string; readonly api: string; readonly reason: string }
  /** The hedge of this region is due. */
  | { readonly kind: "wake"; readonly region: string };

export type ResolutionEffect =
  | { readonly kind: "ask"; readonly region: string; readonly api: string }
  | { readonly kind: "wake"; readonly region: string; readonly afterMs: number }
  | { readonly kind: "done"; readonly placement: Placement; readonly corrections: readonly Correction[] };

export interface ResolutionParts {
  readonly health: RegionHealth;
  readonly answers: Answers;
  readonly config: RouterConfig;
}

export class Resolution {
  readonly #plan: Plan;
  readonly #parts: ResolutionParts;
  readonly #legs = new Map<string, Leg>();
  #isFallback = false;
  #isDone = false;

  constructor(plan: Plan, parts: ResolutionParts) {
    this.#plan = plan;
    this.#parts = parts;
  }

  /** Whether `start` will end it, since kept answers and the index say all. Looks only. */
  needsNobody(now: Now): boolean {
    const recalled = this.#plan.asks.map((ask) => this.#recall(ask, now));
    const isFound = recalled.some((answer) => answer?.outcome === "here");
    return recalled.length === 0 || (isFound && !recalled.includes(undefined));
  }

  start(now: Now): ResolutionEffect[] {
    return [...this.#open(this.#plan.asks, now), ...this.#advance(now)];
  }

  handle(input: ResolutionInput, now: Now): ResolutionEffect[] {
    const region = input.kind === "answered" ? input.answer.region : input.region;
    const leg = this.#legs.get(region);
    if (this.#isDone || leg === undefined || leg.answer !== undefined) return [];
    if (input.kind === "wake") return this.#askNext(leg, now);
    if (input.kind === "failed") {
      leg.onFailure(input.api, input.reason);
      return [...this.#askNext(leg, now), ...this.#giveUp(leg, now)];
    }
    leg.onAnswer(input.answer);
    // The time of a region that waited for a write says nothing of how quick it is.
    this.#parts.health.onAnswer(
      region,
      this.#plan.wait === undefined ? leg.tookMs(input.api, now.monotonicMs) : undefined,
    );
    this.#parts.answers.keep(this.#plan.app, input.answer, now.monotonicMs);
    return this.#advance(now);
  }

  /** Opens a leg for each ask. Skips what is not worth asking, if something else is. */
  #open(asks: readonly Ask[], now: Now): ResolutionEffect[] {
    const legs = asks.map((ask) => new Leg(ask, this.#parts.config.attemptsMax));
    for (const leg of legs) this.#legs.set(leg.ask.region, leg);
    const recalled = legs.map((leg) => this.#recall(leg.ask, now));
    const isFound = recalled.some((answer) => answer?.outcome === "here");
    const open = legs.filter((_, i) => recalled[i] === undefined);
    const admitted = open.filter(({ ask }) => this.#parts.health.admit(ask.region, now.monotonicMs));
    const isAnybodyLeft = isFound || admitted.length > 0;
    legs.forEach((leg, i) => {
      const answer = recalled[i];
      if (answer !== undefined && (isAnybodyLeft || answer.outcome === "here")) leg.onAnswer(answer);
      else if (answer === undefined && isAnybodyLeft && !admitted.includes(leg)) {
        leg.skip("not asked: it left the last resolutions unanswered");
      }
    });
    const effects = legs.flatMap((leg) => this.#askNext(leg, now));
    for (const leg of legs) if (leg.ask.apis.length === 0) leg.giveUp();
    return effects;
  }

  #recall({ region, generation }: Ask, now: Now): GivenAnswer | undefined {
    const { app, keptMaxMs } = this.#plan;
    if (keptMaxMs === 0) return undefined;
    const kept = this.#parts.answers.recall(app, region, keptMaxMs, now.monotonicMs);
    return kept === undefined || kept.generation < generation ? undefined : kept;
  }

  #askNext(leg: Leg, now: Now): ResolutionEffect[] {
    const api = leg.next(now.monotonicMs);
    if (api === undefined) return [];
    const { region } = leg.ask;
    const afterMs = this.#parts.health.hedgeAfterMs(region);
    return [
      { kind: "ask", region, api },
      { kind: "wake", region, afterMs },
    ];
  }

  #giveUp(leg: Leg, now: Now): ResolutionEffect[] {
    if (!leg.giveUp()) return [];
    this.#parts.health.onFailure(leg.ask.region, now.monotonicMs);
    return this.#advance(now);
  }

  /** When every leg has ended: the fallback, or the end. */
  #advance(now: Now): ResolutionEffect[] {
    const answers = [...this.#legs.values()].map(({ answer }) => answer);
    if (answers.includes(undefined)) return [];
    const isHere = answers.some((answer) => answer?.outcome === "here");
    if (!isHere && !this.#isFallback && this.#plan.fallback.length > 0) {
      this.#isFallback = true;
      return [...this.#open(this.#plan.fallback, now), ...this.#advance(now)];
    }
    this.#isDone = true;
    const given = answers.flatMap((answer) => answer ?? []);
    const placement = mergeAnswers(this.#plan, given, now);
    return [{ kind: "done", placement, corrections: correctionsOf(this.#plan, given) }];
  }
}
