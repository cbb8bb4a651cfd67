/**
 * The bulk-withdraw brake: a region that seems to lose a large part of its apps at once has more likely lost its view
 * of them. Then it fails static: what was advertised stays, until somebody says that it is true.
 */
import type { SummaryConfig } from "./config.js";

export class Brake {
  readonly #config: SummaryConfig;
  #recent: { readonly atMs: number; readonly apps: number }[] = [];

  constructor(config: SummaryConfig) {
    this.#config = config;
  }

  /** Whether `apps` more of the `advertised` rows may be withdrawn now. */
  allows(apps: number, advertised: number, nowMs: number): boolean {
    const { withdrawFloor, withdrawFractionMax, brakeWindowMs } = this.#config;
    this.#recent = this.#recent.filter(({ atMs }) => nowMs - atMs < brakeWindowMs);
    const already = this.#recent.reduce((sum, withdrawal) => sum + withdrawal.apps, 0);
    const total = already + apps;
    return total < withdrawFloor || total <= (advertised + already) * withdrawFractionMax;
  }

  /** `apps` rows were withdrawn. */
  note(apps: number, nowMs: number): void {
    const last = this.#recent.at(-1);
    if (last?.atMs === nowMs) this.#recent[this.#recent.length - 1] = { atMs: nowMs, apps: last.apps + apps };
    else this.#recent.push({ atMs: nowMs, apps });
  }

  /** Somebody confirmed: past withdrawals no longer count. */
  reset(): void {
    this.#recent = [];
  }

  /** When a withdrawal next falls out of the window, and more may be allowed. */
  get reliefMs(): number {
    return (this.#recent[0]?.atMs ?? Infinity) + this.#config.brakeWindowMs;
  }
}
