/** The virtual network of the tiers: who reaches whom, how long it takes, and what gets lost. Faults cut it, and let go of it. */
import type { Rng } from "@patina/base";

/** A regional agent, or a global one: a router is at home in a region, too. */
export interface Site {
  readonly region: number | undefined;
  readonly agent: number | undefined;
  readonly global: number | undefined;
}

/** Does it part these two? Asked in both directions. */
export type Cut = (from: Site, to: Site) => boolean;

const DELAY_MIN_MS = 1;

export class Wires {
  readonly #rng: Rng;
  readonly #delayMaxMs: number;
  readonly #cuts = new Set<Cut>();
  lossProbability = 0;

  constructor(rng: Rng, delayMaxMs: number) {
    this.#rng = rng;
    this.#delayMaxMs = delayMaxMs;
  }

  cut(cut: Cut): void {
    this.#cuts.add(cut);
  }

  join(cut: Cut): void {
    this.#cuts.delete(cut);
  }

  joinAll(): void {
    this.#cuts.clear();
  }

  isOpen(from: Site, to: Site): boolean {
    return ![...this.#cuts].some((cut) => cut(from, to) || cut(to, from));
  }

  /** How long a message takes; undefined for one that does not arrive. */
  delayMs(from: Site, to: Site): number | undefined {
    if (!this.isOpen(from, to) || this.#rng.chance(this.lossProbability)) return undefined;
    const isNear = from.region !== undefined && from.region === to.region;
    return this.#rng.between(DELAY_MIN_MS, isNear ? DELAY_MIN_MS * 3 : this.#delayMaxMs);
  }
}
