/**
 * Causal stability: which versions every member holds, so that what they left behind, a tombstone, may be forgotten.
 *
 * That all hold a deletion is not enough. A member may have written the row before it heard of the deletion, and that older
 * write may still be on its way to somebody who has forgotten the tombstone it should lose to. So it takes two rounds: what
 * all held in one is stable once all hold whatever anybody held then.
 *
 *   reports of all ──► candidate: what all hold, and what anybody holds
 *   reports of all, each holding all that anybody held ──► the candidate is stable; the next one begins
 *
 * Reports say only what is durable: a member that loses power must not come back with less than it said. They may be old: what
 * a copy held, it holds; a member that began anew has another. Of each, what it adds to the round is kept, and not the report
 * itself: a thousand members report in turn.
 */
import { type Heads, type Holding, type Holdings, NO_HOLDING, type OriginId } from "@patina/base";

/** What is asked of the rounds after it before what all held in it is stable. */
interface Candidate {
  readonly heldByAll: Heads;
  readonly heldByAny: Heads;
  /** Rounds in which not everybody held all that anybody had. */
  failures: number;
}

/** A candidate that so many rounds did not make stable gives way: one who is gone for good was alone with what it reported. */
const FAILURES_MAX = 4;

export class Stability {
  #round = new Round();
  #candidate: Candidate | undefined;

  /** A member says that its copy, one of those that count, holds this and will not lose it. The first report in a round counts. */
  noteHeld(copy: OriginId, holdings: Holdings): void {
    this.#round.note(copy, holdings);
  }

  /**
   * By origin, the version up to which everything is stable; undefined while that is no more than before. `copies` are all
   * that count, those of members that are down included: the round ends when all of them have been reported.
   */
  advance(copies: readonly OriginId[]): Heads | undefined {
    if (!this.#round.isOf(copies)) return undefined;
    const { heldByAll, heldByAny } = this.#round;
    this.#round = new Round();
    const before = this.#candidate;
    const isStable = before !== undefined && covers(heldByAll, before.heldByAny);
    if (before === undefined || isStable || ++before.failures >= FAILURES_MAX) {
      this.#candidate = { heldByAll, heldByAny, failures: 0 };
    }
    return isStable ? before.heldByAll : undefined;
  }
}

/** By origin, the least that all who reported have without a gap, and the most that any of them has. */
class Round {
  readonly heldByAll = new Map<OriginId, number>();
  readonly heldByAny = new Map<OriginId, number>();
  readonly #reported = new Set<OriginId>();
  /** In a quiet cluster all hold one and the same. */
  #last: Holdings | undefined;

  note(copy: OriginId, holdings: Holdings): void {
    if (this.#reported.has(copy)) return;
    const isFirst = this.#reported.size === 0;
    this.#reported.add(copy);
    if (holdings === this.#last) return;
    this.#last = holdings;
    for (const [origin, holding] of holdings) {
      if (isFirst) this.heldByAll.set(origin, upToFirstGap(holding));
      this.heldByAny.set(origin, Math.max(holding.head, this.heldByAny.get(origin) ?? 0));
    }
    if (isFirst) return;
    for (const [origin, head] of this.heldByAll) {
      const theirs = upToFirstGap(holdings.get(origin) ?? NO_HOLDING);
      if (theirs < head) this.heldByAll.set(origin, theirs);
    }
  }

  /** Have all of these been reported? */
  isOf(copies: readonly OriginId[]): boolean {
    return copies.length > 0 && copies.every((copy) => this.#reported.has(copy));
  }
}

function upToFirstGap({ head, gaps }: Holding): number {
  return (gaps.spans[0]?.[0] ?? head + 1) - 1;
}

function covers(heldByAll: Heads, wanted: Heads): boolean {
  for (const [origin, head] of wanted) if ((heldByAll.get(origin) ?? 0) < head) return false;
  return true;
}
