/** How long a region takes to answer: its last round trips, their 95th percentile, and a smoothed mean. */
import { must } from "@patina/base";
import type { RouterConfig } from "../config.js";

/** As in TCP (RFC 6298): one part in eight of the mean is the latest sample. */
const SMOOTHING = 1 / 8;
/** Sorting costs more than all the rest of a resolution: one sample more or less moves the percentile little. */
const SORT_EVERY = 8;

export class Latency {
  readonly #config: Pick<RouterConfig, "latencySamplesMax" | "latencySamplesMin">;
  readonly #samples: number[] = [];
  #next = 0;
  #smoothMs: number | undefined;
  #p95Ms: number | undefined;

  constructor(config: Pick<RouterConfig, "latencySamplesMax" | "latencySamplesMin">) {
    this.#config = config;
  }

  note(ms: number): void {
    this.#samples[this.#next] = ms;
    this.#next = (this.#next + 1) % this.#config.latencySamplesMax;
    if (this.#next % SORT_EVERY === 0 || this.#samples.length <= this.#config.latencySamplesMin)
      this.#p95Ms = this.#sort();
    this.#smoothMs = this.#smoothMs === undefined ? ms : this.#smoothMs + (ms - this.#smoothMs) * SMOOTHING;
  }

  /** Undefined before the first answer. */
  get smoothMs(): number | undefined {
    return this.#smoothMs;
  }

  /** Undefined while there are too few samples to tell. */
  get p95Ms(): number | undefined {
    return this.#p95Ms;
  }

  #sort(): number | undefined {
    if (this.#samples.length < this.#config.latencySamplesMin) return undefined;
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return must(sorted[Math.ceil(sorted.length * 0.95) - 1], "a sample");
  }
}
