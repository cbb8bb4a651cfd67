/**
 * What one origin may broadcast: so many bytes a second, with a burst. Beyond it an origin goes on writing, but what it
 * writes is no longer pushed: members are told its head, and fetch what its rows say by then. Versions that were overwritten
 * meanwhile cost nothing, so a storm is carried at the size of what it changed, behind everybody else's changes.
 */
import type { Now } from "@patina/base";

export class Budget {
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  #left: number;
  #atMs: number | undefined;
  #isOver = false;

  constructor(bytesPerSecond: number, burstBytes: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burstBytes = burstBytes;
    this.#left = burstBytes;
  }

  /** Spends so much if it is there. Once it was not, nothing is until half the burst has come back. */
  spend(bytes: number, now: Now): boolean {
    const seconds = (now.monotonicMs - (this.#atMs ?? now.monotonicMs)) / 1000;
    this.#atMs = now.monotonicMs;
    this.#left = Math.min(this.#burstBytes, this.#left + seconds * this.#bytesPerSecond);
    // What is larger than the burst goes when all of that is there, and leaves a debt.
    const isThere = this.#left >= Math.min(bytes, this.#burstBytes);
    this.#isOver = !isThere || (this.#isOver && this.#left < this.#burstBytes / 2);
    if (this.#isOver) return false;
    this.#left -= bytes;
    return true;
  }
}
