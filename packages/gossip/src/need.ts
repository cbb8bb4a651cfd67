/** Anti-entropy: from what I hold and what a peer says it holds, what should I ask that peer for? */
import { assert, heldVersions, type Holdings, NO_HOLDING, type OriginId, type Ranges } from "@patina/base";
import type { OriginRanges } from "./frame.js";

/**
 * Versions `theirs` can supply and `mine` lacks, oldest first, at most `versionsMax` in all. `skip` are those on their
 * way already: parked here, or asked of somebody else.
 */
export function needFrom(
  mine: Holdings,
  theirs: Holdings,
  versionsMax: number,
  skip: (origin: OriginId) => Ranges,
): OriginRanges[] {
  assert(versionsMax > 0, "versionsMax is positive");
  const need: OriginRanges[] = [];
  let budget = versionsMax;
  for (const [origin, holding] of theirs) {
    if (budget === 0) break; // The rest waits for the next round: sync is periodic, not a queue.
    const missing = heldVersions(holding).subtract(heldVersions(mine.get(origin) ?? NO_HOLDING));
    const versions = missing.isEmpty ? missing : missing.subtract(skip(origin)).take(budget);
    if (versions.isEmpty) continue;
    need.push({ origin, versions });
    budget -= versions.size;
  }
  return need;
}

/** Does `mine` hold anything that `theirs` lacks? */
export function canHelp(mine: Holdings, theirs: Holdings): boolean {
  for (const [origin, holding] of mine) {
    const missing = heldVersions(holding).subtract(heldVersions(theirs.get(origin) ?? NO_HOLDING));
    if (!missing.isEmpty) return true;
  }
  return false;
}
