/**
 * Whether a region is worth asking: one that left several resolutions in a row unanswered is let alone for a while, so
 * that callers do not pay its timeout each time.
 *
 *   closed ──breakerFailures in a row──► open ──breakerOpenMs──► half-open (one may try) ──answered──► closed
 *                                          ▲                          └──unanswered──► open
 *                                          └──────────────────────────────┘
 */
import type { RouterConfig } from "../config.js";

export type BreakerState = "closed" | "open" | "half-open";

export class Breaker {
  readonly #config: Pick<RouterConfig, "breakerFailures" | "breakerOpenMs">;
  #failures = 0;
  #openUntilMs = -Infinity;
  /** Until when the one that tries has time to say how it went; then another may. */
  #trialUntilMs = -Infinity;

  constructor(config: Pick<RouterConfig, "breakerFailures" | "breakerOpenMs">) {
    this.#config = config;
  }

  state(nowMs: number): BreakerState {
    if (this.#failures < this.#config.breakerFailures) return "closed";
    return nowMs < this.#openUntilMs ? "open" : "half-open";
  }

  /** May this resolution ask? While half-open only one may. */
  admit(nowMs: number): boolean {
    const state = this.state(nowMs);
    if (state === "closed") return true;
    if (state === "open" || nowMs < this.#trialUntilMs) return false;
    this.#trialUntilMs = nowMs + this.#config.breakerOpenMs;
    return true;
  }

  onAnswer(): void {
    this.#failures = 0;
    this.#trialUntilMs = -Infinity;
  }

  onFailure(nowMs: number): void {
    this.#failures++;
    this.#openUntilMs = nowMs + this.#config.breakerOpenMs;
    this.#trialUntilMs = -Infinity;
  }
}
