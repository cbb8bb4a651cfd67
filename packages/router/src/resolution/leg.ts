/**
 * Asking one region: one of its agents, another beside it when the first is silent or failed, and the first answer counts.
 * No agent is asked twice. A region is silent when every agent that was asked has failed.
 */
import { assert, must } from "@patina/base";
import type { GivenAnswer } from "./answers.js";
import type { RegionAnswer } from "../merge.js";
import type { Ask } from "../plan.js";

export class Leg {
  readonly ask: Ask;
  readonly #attemptsMax: number;
  /** When each agent was asked, by its address: who is in here is not asked again. */
  readonly #askedMs = new Map<string, number>();
  readonly #failures = new Map<string, string>();
  #answer: RegionAnswer | undefined;

  constructor(ask: Ask, attemptsMax: number) {
    this.ask = ask;
    this.#attemptsMax = attemptsMax;
  }

  get answer(): RegionAnswer | undefined {
    return this.#answer;
  }

  /** The next agent to ask; undefined when there is none left or the region has answered. */
  next(nowMs: number): string | undefined {
    if (this.#answer !== undefined || this.#askedMs.size >= this.#attemptsMax) return undefined;
    const api = this.ask.apis.find((each) => !this.#askedMs.has(each));
    if (api !== undefined) this.#askedMs.set(api, nowMs);
    return api;
  }

  onAnswer(answer: GivenAnswer): void {
    assert(this.#answer === undefined, "the first answer counts");
    this.#answer = answer;
  }

  /** How long that agent took. */
  tookMs(api: string, nowMs: number): number {
    return nowMs - must(this.#askedMs.get(api), "an agent that was asked");
  }

  onFailure(api: string, reason: string): void {
    this.#failures.set(api, reason);
  }

  /** Ends without an answer when nobody who was asked may still give one. True if it did. */
  giveUp(): boolean {
    if (this.#answer !== undefined || this.#failures.size < this.#askedMs.size) return false;
    const reasons = [...this.#failures].map(([api, reason]) => `${api}: ${reason}`);
    this.skip(reasons.length === 0 ? "it has told nobody where to ask" : reasons.join("; "));
    return true;
  }

  skip(reason: string): void {
    this.#answer = { region: this.ask.region, outcome: "unreachable", reason };
  }
}
