/**
 * Members of a large cluster in groups of about √N, by the hash of their ids: everybody knows everybody's group, and nobody
 * has to be told. A group is an interval of the hash space, so a relay may be told the interval, and views need not agree.
 */
import { hash32, type NodeId } from "@patina/base";

/** Hashes from `low` to below `high`. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

const SPACE = 2 ** 32;
/** How far outside the sizes a number of groups is best for a cluster must be before it changes. */
const SLACK_LOW = 0.7;
const SLACK_HIGH = 1.4;

/** A power of two near √N; `current` stays for as long as it is about right, so that groups do not swing. */
export function groupCount(members: number, current: number): number {
  const isAboutRight = members >= (SLACK_LOW * current ** 2) / 2 && members <= SLACK_HIGH * 2 * current ** 2;
  if (current > 1 && isAboutRight) return current;
  return 2 ** Math.max(0, Math.round(Math.log2(Math.sqrt(Math.max(1, members)))));
}

function placeOf(node: NodeId): number {
  return hash32(node);
}

export function groupOf(node: NodeId, groups: number): number {
  return Math.floor((placeOf(node) / SPACE) * groups);
}

export function intervalOf(group: number, groups: number): Interval {
  return { low: (group * SPACE) / groups, high: ((group + 1) * SPACE) / groups };
}

export function isWithin(node: NodeId, { low, high }: Interval): boolean {
  const place = placeOf(node);
  return low <= place && place < high;
}
