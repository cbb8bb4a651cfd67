/**
 * How fast bases go: the oldest quarter in each run, which members do once a day, and the others later. Many at once are what a fault of a clock, a policy or a drill
 * looks like, and also what two days without a run leave; so there is time for somebody to see the one, and an end to the other.
 */
import { partsOfId } from "../manifest/keys.js";
import type { HeldCheckpoint, Retention } from "./retention.js";

const BASES_SHARE_MAX = 0.25;

/** `condemned`: what an earlier run, or a person, has already marked. It goes, and does not count. */
export function paced(
  retention: Retention,
  held: readonly HeldCheckpoint[],
  condemned: ReadonlySet<string>,
): Retention {
  const bases = held.filter(({ level }) => level === "base").length;
  const most = Math.max(1, Math.floor(bases * BASES_SHARE_MAX));
  const fresh = retention.go.filter(({ id }) => partsOfId(id)?.level === "base" && !condemned.has(id)); // The newest first.
  const later = new Set(fresh.slice(0, Math.max(0, fresh.length - most)).map(({ id }) => id));
  return {
    ...retention,
    keep: [
      ...retention.keep,
      ...[...later].map((id) => ({ id, why: `goes later: ${most} of ${bases} bases a run at most` })),
    ],
    go: retention.go.filter(({ id }) => !later.has(id)),
  };
}
