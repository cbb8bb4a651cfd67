/**
 * The regions' last answers, kept for callers that accept old ones: what a region has, and also what it denies. Bounded in
 * number and age. An app whose route changes is forgotten: what the region said before no longer counts.
 */
import type { RouterConfig } from "../config.js";
import type { RegionAnswer } from "../merge.js";

export type GivenAnswer = Exclude<RegionAnswer, { outcome: "unreachable" }>;

/** Never changes: another answer is another one of these. */
export interface Kept {
  readonly answer: GivenAnswer;
  readonly atMs: number;
}

export class Answers {
  readonly #config: Pick<RouterConfig, "answersMax" | "answerMaxMs">;
  /** By app, then region; the app answered for longest ago is first. */
  readonly #keptByApp = new Map<string, Map<string, Kept>>();
  #size = 0;
  #edition = {};

  constructor(config: Pick<RouterConfig, "answersMax" | "answerMaxMs">) {
    this.#config = config;
  }

  get size(): number {
    return this.#size;
  }

  /** Another object after every change: who has compared needs not compare again while it is the same. */
  get edition(): object {
    return this.#edition;
  }

  /** How old an answer may be for a caller who accepts that much. */
  ageMaxMs(wantedMs: number): number {
    return Math.min(wantedMs, this.#config.answerMaxMs);
  }

  keep(app: string, answer: GivenAnswer, nowMs: number): void {
    this.#edition = {};
    const kept = this.#keptByApp.get(app) ?? new Map<string, Kept>();
    if (!kept.has(answer.region)) this.#size++;
    kept.set(answer.region, { answer, atMs: nowMs });
    this.#keptByApp.delete(app);
    this.#keptByApp.set(app, kept);
    while (this.#size > this.#config.answersMax) {
      const [oldest] = this.#keptByApp.keys();
      this.forget(oldest ?? app);
    }
  }

  /** The answer with its age, if it is no older than that. */
  recall(app: string, region: string, maxAgeMs: number, nowMs: number): GivenAnswer | undefined {
    const kept = this.find(app, region, maxAgeMs, nowMs);
    if (kept === undefined) return undefined;
    return kept.answer.outcome === "here" ? { ...kept.answer, ageMs: ageOf(kept, nowMs) } : kept.answer;
  }

  /** As it was kept, if it is no older than that. */
  find(app: string, region: string, maxAgeMs: number, nowMs: number): Kept | undefined {
    const kept = this.at(app, region);
    return kept === undefined || ageOf(kept, nowMs) > this.ageMaxMs(maxAgeMs) ? undefined : kept;
  }

  /** As it was kept, however old. */
  at(app: string, region: string): Kept | undefined {
    return this.#keptByApp.get(app)?.get(region);
  }

  forget(app: string): void {
    this.#edition = {};
    this.#size -= this.#keptByApp.get(app)?.size ?? 0;
    this.#keptByApp.delete(app);
  }
}

/** In whole milliseconds, and never younger than it is: only what was said at this very moment is of age 0, and live. */
export function ageOf({ atMs }: Kept, nowMs: number): number {
  return Math.ceil(nowMs - atMs);
}
