/**
 * Flap damping, biased to present: an app that keeps coming back after it has gone is waited for longer and longer, and
 * stays advertised. The opposite of a router's damping (RFC 2439), which hides the flapper and so prolongs the outage.
 */
import type { SummaryConfig } from "./config.js";

interface Flaps {
  readonly count: number;
  readonly atMs: number;
}

export class Damping {
  readonly #config: SummaryConfig;
  readonly #flaps = new Map<string, Flaps>();

  constructor(config: SummaryConfig) {
    this.#config = config;
  }

  /** The app had gone and is back. */
  onReturn(app: string, nowMs: number): void {
    const count = this.#count(app, nowMs) + 1;
    this.#flaps.delete(app); // So that the order of insertion is the order of the last flap.
    this.#flaps.set(app, { count, atMs: nowMs });
    if (this.#flaps.size <= this.#config.flappersMax) return;
    for (const oldest of this.#flaps.keys()) {
      this.#flaps.delete(oldest);
      return;
    }
  }

  /** How long to wait for the app before it is withdrawn. */
  holdDownMs(app: string, nowMs: number): number {
    const excess = Math.max(0, this.#count(app, nowMs) - this.#config.flapsFree);
    return Math.min(this.#config.holdDownMaxMs, this.#config.holdDownMs * 2 ** excess);
  }

  #count(app: string, nowMs: number): number {
    const flaps = this.#flaps.get(app);
    return flaps === undefined ? 0 : flaps.count * 0.5 ** ((nowMs - flaps.atMs) / this.#config.flapHalfLifeMs);
  }
}
