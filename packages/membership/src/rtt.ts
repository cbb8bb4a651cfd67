/**
 * How long to wait for one peer's answer: a smoothed round trip and its variation. Jacobson and Karels, 1988, with the
 * gains of RFC 6298.
 */
import { assert } from "@patina/base";

const GAIN = 1 / 8;
const VARIATION_GAIN = 1 / 4;

export class Rtt {
  #smoothedMs: number | undefined;
  #variationMs = 0;

  sample(roundTripMs: number): void {
    assert(roundTripMs >= 0, "a round trip takes time");
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = roundTripMs;
      this.#variationMs = roundTripMs / 2;
      return;
    }
    this.#variationMs += VARIATION_GAIN * (Math.abs(this.#smoothedMs - roundTripMs) - this.#variationMs);
    this.#smoothedMs += GAIN * (roundTripMs - this.#smoothedMs);
  }

  /** When to stop waiting for a direct answer; `maxMs` for a peer that never answered yet. */
  timeoutMs(minMs: number, maxMs: number): number {
    if (this.#smoothedMs === undefined) return maxMs;
    return Math.min(maxMs, Math.max(minMs, 3 * this.#smoothedMs + 4 * this.#variationMs));
  }
}
