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

  constructor(config: Pick<RouterConfig, "answersMax" | "answerMaxMs">) {
    this.#config = config;
  }

  get size(): number {
    return this.#size;
  }

  keep(app: string, answer: GivenAnswer, nowMs: number): void {
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
    return kept.answer.outcome === "here" ? { ...kept.answer, ageMs: nowMs - kept.atMs } : kept.answer;
  }

  /** As it was kept, if it is no older than that. */
  find(app: string, region: string, maxAgeMs: number, nowMs: number): Kept | undefined {
    const kept = this.#keptByApp.get(app)?.get(region);
    if (kept === undefined) return undefined;
    const ageMs = nowMs - kept.atMs;
    if (ageMs > Math.min(maxAgeMs, this.#config.answerMaxMs)) return undefined;
    return kept;
  }

  forget(app: string): void {
    this.#size -= this.#keptByApp.get(app)?.size ?? 0;
    this.#keptByApp.delete(app);
  }
}
