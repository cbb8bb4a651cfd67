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
 * Reports say only what is durable: a member that loses power must not come back with less than it said.
 */
import { type Heads, type Holding, type Holdings, NO_HOLDING, type NodeId, type OriginId } from "@patina/base";

interface Candidate {
  readonly heldByAll: Heads;
  readonly heldByAny: Heads;
}

export class Stability {
  readonly #reports = new Map<NodeId, Holdings>();
  #candidate: Candidate | undefined;

  /** A member says that it holds this, and will not lose it. */
  noteHeld(member: NodeId, holdings: Holdings): void {
    this.#reports.set(member, holdings);
  }

  /**
   * By origin, the version up to which everything is stable; undefined while that is no more than before. The roster is
   * everybody whose copy counts, those that are down included.
   */
  advance(roster: readonly NodeId[]): Heads | undefined {
    for (const member of this.#reports.keys()) if (!roster.includes(member)) this.#reports.delete(member);
    if (roster.length === 0 || this.#reports.size < roster.length) return undefined;
    const reports = [...new Set(this.#reports.values())]; // In a quiet cluster they are all one and the same.
    const now = { heldByAll: headsOf(reports, "all"), heldByAny: headsOf(reports, "any") };
    const before = this.#candidate;
    if (before !== undefined && !covers(now.heldByAll, before.heldByAny)) return undefined;
    this.#candidate = now;
    return before?.heldByAll;
  }
}

/** By origin, the least that all reports have without a gap, or the most that any has. */
function headsOf(reports: readonly Holdings[], by: "all" | "any"): Map<OriginId, number> {
  const heads = new Map<OriginId, number>();
  for (const origin of new Set(reports.flatMap((report) => [...report.keys()]))) {
    const each = reports.map((report) => headOf(report.get(origin) ?? NO_HOLDING, by));
    heads.set(origin, by === "all" ? Math.min(...each) : Math.max(...each));
  }
  return heads;
}

function headOf({ head, gaps }: Holding, by: "all" | "any"): number {
  return by === "any" ? head : (gaps.spans[0]?.[0] ?? head + 1) - 1;
}

function covers(heldByAll: Heads, wanted: Heads): boolean {
  for (const [origin, head] of wanted) if ((heldByAll.get(origin) ?? 0) < head) return false;
  return true;
}
