/**
 * What has been joined so far to make up for lost origins: of whom it has to be, and what may be said once it is.
 */
import {
  heldVersions,
  holdAlso,
  type Holding,
  type Holdings,
  holdsUpTo,
  NO_HOLDING,
  type NodeId,
  type OriginId,
  originNode,
  Ranges,
  VERSION_MAX,
} from "@patina/base";
import type { SnapshotPiece } from "@patina/gossip";
import type { StorePort } from "./ports.js";

export interface Claim {
  /**
   * All that were known to be lost when it began, and so are known to those whose rows count. Of some of them something is
   * owed for good; and whoever owes more of them says so in its rows, so that they end all at once or go round for ever.
   */
  readonly origins: ReadonlySet<OriginId>;
  readonly roster: readonly NodeId[];
  /** What was held here and applied when it began. */
  readonly held: Holdings;
  /** What is held here and could not be applied: nor can a peer, which says of its own that it lacks it. */
  readonly quarantined: ReadonlyMap<OriginId, Ranges>;
  /** Some row of theirs could not be joined: what is owed of them does not end with this. */
  readonly unjoined: Set<OriginId>;
  readonly joined: Set<NodeId>;
  /** They owe nothing, and lack something all the same that is held here. */
  readonly unproved: Set<NodeId>;
  /** By lost origin, what any of those joined holds of it. */
  readonly told: Map<OriginId, Ranges>;
}

/**
 * A claim may begin once all else that is owed was paid, and with it came whatever those knew whose rows these are: that an
 * origin has ended, for one. Undefined before.
 */
export function newClaim(owing: readonly OriginId[], store: StorePort): Claim | undefined {
  const holdings = store.holdings();
  const roster = store.members.roster();
  const self = originNode(store.origin);
  if (!roster.includes(self)) return undefined;
  // One that has just joined is alone on its list, too, until it has been told of the others.
  const isAlone = roster.every((node) => node === self);
  for (const [origin, head] of store.basis()) {
    const isPaid = owing.includes(origin) || holdsUpTo(holdings.get(origin) ?? NO_HOLDING, head);
    if (!isPaid && (isAlone || roster.includes(originNode(origin)))) return undefined; // Of one on no list it may never come.
  }
  // What could not be applied is in no peer's rows, either.
  const held = new Map<OriginId, Holding>();
  const quarantined = new Map<OriginId, Ranges>();
  for (const [origin, { head, gaps }] of holdings) {
    const versions = store.quarantinedIn(origin);
    held.set(origin, { head, gaps: gaps.union(versions) });
    quarantined.set(origin, versions);
  }
  const origins = new Set([...owing, ...[...store.basis().keys()].filter((origin) => store.debts.hasEnded(origin))]);
  return { origins, roster, held, quarantined, unjoined: new Set(), joined: new Set(), unproved: new Set(), told: new Map() }; // prettier-ignore
}

/**
 * Does the peer owe nothing, and hold all that was held here when this began? Undefined when it does not even know what was
 * known here, or waits yet for what is lost: then its rows count for nothing.
 */
export function judge({ held, quarantined, origins }: Claim, { holdings, basis }: SnapshotPiece): boolean | undefined {
  let isProof = true;
  for (const [origin, head] of basis) {
    const theirs = holdAlso(holdings.get(origin) ?? NO_HOLDING, quarantined.get(origin) ?? Ranges.empty);
    if (holdsUpTo(theirs, head)) continue;
    if (origins.has(origin) && head !== VERSION_MAX) return undefined;
    isProof = false;
  }
  for (const [origin, holding] of held) {
    const lacking = heldVersions(holding).subtract(heldVersions(holdings.get(origin) ?? NO_HOLDING));
    const [first] = lacking.spans[0] ?? [];
    if (first === undefined) continue;
    // Of a lost origin, what comes after a gap cannot be passed on before the gap is void.
    if (!origins.has(origin) || first < (holding.gaps.spans[0]?.[0] ?? Infinity)) return undefined;
    isProof = false;
  }
  return isProof;
}

/** The last piece of the peer's rows was joined; `held` is what it held at the first. */
export function note({ origins, joined, told }: Claim, peer: NodeId, held: Holdings): void {
  joined.add(peer);
  for (const origin of origins) {
    const theirs = heldVersions(held.get(origin) ?? NO_HOLDING);
    told.set(origin, theirs.union(told.get(origin) ?? Ranges.empty));
  }
}

/** May what is owed of this origin end with the claim? */
export function settles({ origins, unjoined }: Claim, origin: OriginId): boolean {
  return origins.has(origin) && !unjoined.has(origin);
}

export function areAllJoined({ roster, joined }: Claim, self: NodeId): boolean {
  return roster.every((node) => node === self || joined.has(node));
}

/** Is all that is here of these lost origins among what one peer held? */
export function isAmong(origins: readonly OriginId[], held: Holdings, store: StorePort): boolean {
  return origins.every((origin) => {
    const theirs = heldVersions(held.get(origin) ?? NO_HOLDING);
    return hereOf(origin, store).subtract(theirs).isEmpty;
  });
}

/**
 * What counts as held of a lost origin once it is settled: all that was seen of it here or at those whose rows settle it, and
 * below, what nobody has.
 */
export function toHold(origin: OriginId, told: Ranges, store: StorePort): Ranges {
  const seen = hereOf(origin, store).union(told);
  const held = heldVersions(store.holdings().get(origin) ?? NO_HOLDING);
  return Ranges.of(1, seen.spans.at(-1)?.[1] ?? 0).subtract(held);
}

/** Of the same nodes or origins, in whatever order? */
export function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((it) => b.includes(it));
}

function hereOf(origin: OriginId, store: StorePort): Ranges {
  return heldVersions(store.holdings().get(origin) ?? NO_HOLDING).union(store.debts.joined(origin));
}
