/**
 * Which counters of one sender have been seen: a sliding bitmap behind the greatest (RFC 4303 §3.4.3, RFC 6479). What is
 * older than the window counts as seen, because nobody knows any more.
 */

/** Counters that may still arrive late. A sender would have to overtake itself by this many datagrams to lose one. */
export const REPLAY_WINDOW = 1024;

const WORD = 32;

export class ReplayWindow {
  readonly #seen = new Uint32Array(REPLAY_WINDOW / WORD);
  #greatest = -1;

  isFresh(counter: number): boolean {
    if (counter > this.#greatest) return true;
    if (counter <= this.#greatest - REPLAY_WINDOW) return false;
    return (this.#word(counter) & bitOf(counter)) === 0;
  }

  /** Only for a counter that is fresh and whose datagram is authentic: anything else could move the window at will. */
  accept(counter: number): void {
    if (counter > this.#greatest) this.#advance(counter);
    this.#seen[indexOf(counter)] = this.#word(counter) | bitOf(counter);
  }

  #advance(counter: number): void {
    if (counter - this.#greatest >= REPLAY_WINDOW) this.#seen.fill(0);
    else
      for (let next = this.#greatest + 1; next <= counter; next++)
        this.#seen[indexOf(next)] = this.#word(next) & ~bitOf(next);
    this.#greatest = counter;
  }

  #word(counter: number): number {
    return this.#seen[indexOf(counter)] ?? 0;
  }
}

function indexOf(counter: number): number {
  return Math.floor((counter % REPLAY_WINDOW) / WORD);
}

function bitOf(counter: number): number {
  return 1 << (counter % WORD);
}
