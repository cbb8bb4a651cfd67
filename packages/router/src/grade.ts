/**
 * How old what we know of a region may be. A region that answers is `live`; of the others only the heartbeat in the
 * index tells. Losing contact demotes and never deletes: BGP's long-lived graceful restart, RFC 9494.
 */
import type { Now } from "@patina/base";
import type { RouterConfig } from "./config.js";
import type { Location } from "./near.js";

export type Grade = "live" | "fresh" | "stale" | "expired";

/** A region's own row in the global tier. */
export interface RegionState {
  readonly region: string;
  readonly generation: number;
  /** Unix ms, by the clock of the global agent that took it. */
  readonly heartbeatMs: number;
  /** How many rows it has told of: a map with fewer lacks some of them. */
  readonly apps: number;
  /** Where its agents serve HTTP, the publishing border first. */
  readonly apis: readonly string[];
  /** Where it is, when it says so. */
  readonly location?: Location;
}

export interface GradedAge {
  readonly grade: Exclude<Grade, "live">;
  readonly ageMs: number;
}

/** A region never heard of is graded as if last heard at the Unix epoch. */
export function gradeOf(region: RegionState | undefined, now: Now, config: RouterConfig): GradedAge {
  const behindMs = now.wallMs - (region?.heartbeatMs ?? 0);
  // A little ahead is skew. Far ahead is a broken clock, and must not look fresh until ours has caught up.
  const ageMs = -behindMs > config.clockSkewMaxMs ? -behindMs : Math.max(0, behindMs);
  if (ageMs <= config.freshMs) return { grade: "fresh", ageMs };
  return { grade: ageMs <= config.staleMs ? "stale" : "expired", ageMs };
}

/** How many there are of each. */
export function gradesOf(
  regions: Iterable<RegionState>,
  now: Now,
  config: RouterConfig,
): Record<GradedAge["grade"], number> {
  const counts = { fresh: 0, stale: 0, expired: 0 };
  for (const region of regions) counts[gradeOf(region, now, config).grade]++;
  return counts;
}
