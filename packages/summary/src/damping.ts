/**
 * Flap damping, biased to present: an app that goes again and again is waited for longer and longer, and stays
 * advertised. The opposite of a router's damping (RFC 2439), which hides the flapper and so prolongs the outage.
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

  /** The app has gone, and this counts. Returns how long to wait for it before it is withdrawn. */
  holdDownMs(app: string, nowMs: number): number {
    const { flapsFree, flapHalfLifeMs, flappersMax, holdDownMs, holdDownMaxMs } = this.#config;
    const before = this.#flaps.get(app);
    const forgiven = before === undefined ? 0 : before.count * 0.5 ** ((nowMs - before.atMs) / flapHalfLifeMs);
    this.#flaps.delete(app); // So that the order of insertion is the order of the last flap.
    this.#flaps.set(app, { count: forgiven + 1, atMs: nowMs });
    if (this.#flaps.size > flappersMax) this.#forgetOldest();
    return Math.min(holdDownMaxMs, holdDownMs * 2 ** Math.max(0, forgiven - flapsFree));
  }

  #forgetOldest(): void {
    for (const oldest of this.#flaps.keys()) {
      this.#flaps.delete(oldest);
      return;
    }
  }
}
