/**
 * The time that a signer puts into its requests: the wall clock's, and each later than the last, because whoever takes them
 * refuses one that is not. A clock that is set back a little, or read twice in a millisecond, must not silence its member.
 */

/** Half of what a token may be ahead: a clock that is set back by more was wrong enough to be refused before. */
export const AHEAD_MAX_MS = 30_000;

export class SigningClock {
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Whole milliseconds, later than the last unless that was far ahead of the wall clock. */
  tick(wallMs: number): number {
    const wall = Math.floor(wallMs);
    const isFollowing = this.#lastMs >= wall && this.#lastMs - wall < AHEAD_MAX_MS;
    this.#lastMs = isFollowing ? this.#lastMs + 1 : wall;
    return this.#lastMs;
  }
}
