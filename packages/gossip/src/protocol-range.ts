/**
 * Which versions of the frames a release speaks. A cluster is upgraded member by member, so a release goes on speaking as the
 * one before it did: two that have a version in common understand each other.
 */

/** Of versions, the first and the last. */
export interface ProtocolRange {
  readonly oldest: number;
  readonly newest: number;
}

/** There is one so far. */
export const PROTOCOL: ProtocolRange = { oldest: 1, newest: 1 };

/** Is there a version that both ends of a stream know? */
export function haveCommonVersion(mine: ProtocolRange, theirs: ProtocolRange): boolean {
  return Math.max(mine.oldest, theirs.oldest) <= Math.min(mine.newest, theirs.newest);
}

export function describeProtocol({ oldest, newest }: ProtocolRange): string {
  return oldest === newest ? `protocol ${newest}` : `protocols ${oldest} to ${newest}`;
}
