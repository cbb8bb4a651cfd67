/**
 * How long has the main thread been wedged? It answers from outside that thread, which cannot tell by itself, and it
 * distrusts its own clock first: when the whole process was stopped, both threads were, and nobody is to blame.
 */
export interface WatchdogConfig {
  readonly everyMs: number;
  /** The process is ended, for its supervisor to start again, when the main thread has stood still for longer. */
  readonly abortAfterMs: number;
}

export const defaultWatchdogConfig: WatchdogConfig = { everyMs: 250, abortAfterMs: 60_000 };

/** A round of ours that is later than this says that we were stopped, too. */
const LATE_FACTOR = 4;

export class Watchdog {
  readonly #config: WatchdogConfig;
  #lastRoundMs: number | undefined;
  /** Silence from before this time proves nothing. */
  #excusedUntilMs = -Infinity;

  constructor(config: WatchdogConfig) {
    this.#config = config;
  }

  /** One round: for how long the main thread has verifiably stood still, given that it was last seen `silentMs` ago. */
  round(nowMs: number, silentMs: number): { readonly lagMs: number; readonly isWedged: boolean } {
    const { everyMs, abortAfterMs } = this.#config;
    if (this.#lastRoundMs !== undefined && nowMs - this.#lastRoundMs > everyMs * LATE_FACTOR) {
      this.#excusedUntilMs = nowMs;
    }
    this.#lastRoundMs = nowMs;
    const lagMs = Math.max(0, Math.min(silentMs, nowMs - this.#excusedUntilMs));
    return { lagMs, isWedged: lagMs > abortAfterMs };
  }
}
