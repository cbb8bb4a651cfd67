/** What this router has seen of each region by asking it: how long it takes, and whether it answers at all. */
import type { RouterConfig } from "../config.js";
import { Breaker, type BreakerState } from "./breaker.js";
import { Latency } from "./latency.js";

interface Seen {
  readonly breaker: Breaker;
  readonly latency: Latency;
}

export class RegionHealth {
  readonly #config: RouterConfig;
  /** The one heard of least recently is first. */
  readonly #seenByRegion = new Map<string, Seen>();

  constructor(config: RouterConfig) {
    this.#config = config;
  }

  admit(region: string, nowMs: number): boolean {
    return this.#seenByRegion.get(region)?.breaker.admit(nowMs) ?? true;
  }

  stateOf(region: string, nowMs: number): BreakerState {
    return this.#seenByRegion.get(region)?.breaker.state(nowMs) ?? "closed";
  }

  /** Smoothed; undefined for a region that never answered. */
  rttMs(region: string): number | undefined {
    return this.#seenByRegion.get(region)?.latency.smoothMs;
  }

  /** How long an agent of the region may be silent before another is asked beside it. */
  hedgeAfterMs(region: string): number {
    const { hedgeMs, hedgeMinMs, askTimeoutMs } = this.#config;
    const p95Ms = this.#seenByRegion.get(region)?.latency.p95Ms ?? hedgeMs;
    return Math.min(Math.max(p95Ms, hedgeMinMs), askTimeoutMs / 2);
  }

  /** One of its agents answered, after so long where that is a measure of it. */
  onAnswer(region: string, tookMs: number | undefined): void {
    const { breaker, latency } = this.#of(region);
    breaker.onAnswer();
    if (tookMs !== undefined) latency.note(tookMs);
  }

  /** None of the agents that were asked answered. */
  onFailure(region: string, nowMs: number): void {
    this.#of(region).breaker.onFailure(nowMs);
  }

  #of(region: string): Seen {
    const seen = this.#seenByRegion.get(region) ?? {
      breaker: new Breaker(this.#config),
      latency: new Latency(this.#config),
    };
    this.#seenByRegion.delete(region);
    this.#seenByRegion.set(region, seen);
    const [oldest] = this.#seenByRegion.keys();
    if (this.#seenByRegion.size > this.#config.regionsMax && oldest !== undefined) this.#seenByRegion.delete(oldest);
    return seen;
  }
}
