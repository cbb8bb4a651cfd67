/**
 * Making up for what a lost node left owing. Its versions that would pay the debt are gone, and what they had overwritten
 * lives on in the rows of some other member, if anywhere. So the others' rows are joined, one member's after another's: of
 * one that owes nothing and holds all that is held here, or else of every member enlisted. The debt is over then.
 *
 *   owing for good ──► all rows of a peer, joined ──► it owed nothing, and held all that is held here? ──► settled
 *                            ▲                                        │ no
 *                            └──── the next ◄──── not all enlisted ───┴─── all of them ──► gaps are void, settled
 *
 * Only what is joined counts that was read after the peer knew of the loss: from then on it takes nothing of the lost
 * origin but what another member holds, so that no row turns up later. In a cluster where everybody owes, the first member
 * begins, and the others find it whole.
 */
import {
  asAppError,
  heldVersions,
  type Heads,
  type Holding,
  type Holdings,
  NO_HOLDING,
  type NodeId,
  type Now,
  type OriginId,
  originNode,
  Ranges,
  VERSION_MAX,
} from "@patina/base";
import { isSameCursor, type SnapshotPiece } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";

/** What has been joined so far, for which debts, and of whom it has to be. */
interface Claim {
  readonly origins: ReadonlySet<OriginId>;
  readonly roster: readonly NodeId[];
  /** What was held here and applied when it began. */
  readonly held: Holdings;
  readonly joined: Set<NodeId>;
  /** They owe nothing, and lack something all the same that is held here. */
  readonly unproved: Set<NodeId>;
  /** By origin of the debts, what any of those holds of it. */
  readonly told: Map<OriginId, Ranges>;
}

interface Reading {
  readonly peer: NodeId;
  /** It is read to prove that nothing is owed; else as one of all. */
  readonly isForProof: boolean;
  /** Where the piece begins that it was asked for. */
  after: Uint8Array;
  untilMs: number;
  /** How often it has let that time pass. */
  silences: number;
  /** What it held when its first piece was read. Undefined before. */
  held: Holdings | undefined;
  isProof: boolean;
}

const START = new Uint8Array();
const SILENCES_MAX = 3;

export class Restitution {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #early: EarlyChanges;
  /** Peers that could be compared with when they last spoke: they owe nothing. */
  readonly #comparable = new Set<NodeId>();
  #claim: Claim | undefined;
  #reading: Reading | undefined;
  #owingSinceMs: number | undefined;
  #nextMs = -Infinity;
  /** Peers that proved nothing, so far: the next is another. */
  #failures = 0;
  #peers: readonly NodeId[] = [];

  constructor(store: StorePort, config: AgentConfig, early: EarlyChanges) {
    this.#store = store;
    this.#config = config;
    this.#early = early;
  }

  get isUnderWay(): boolean {
    return this.#reading !== undefined;
  }

  /** Meanwhile, single versions are asked only of those that owe nothing: a debtor's rows would leave out the same again. */
  isAskable(peer: NodeId): boolean {
    return this.#reading === undefined || this.#comparable.has(peer);
  }

  noteComparable(peer: NodeId, isComparable: boolean): void {
    if (isComparable) this.#comparable.add(peer);
    else this.#comparable.delete(peer);
  }

  forgetPeer(peer: NodeId): void {
    this.#comparable.delete(peer);
    if (this.#reading?.peer === peer) this.#reading = undefined;
  }

  /** What was applied may depend on what is owed: rows joined before it do not make up for that. */
  onRepaired(owed: Heads, now: Now): void {
    if (this.#claim === undefined) return;
    for (const origin of this.#claim.origins) {
      if (!isMet(owed.get(origin) ?? 0, this.#holding(origin))) this.abandon(now);
    }
  }

  /** What was joined counts no more. */
  abandon(now: Now): void {
    this.#claim = undefined;
    this.#reading = undefined;
    this.#nextMs = now.monotonicMs + this.#config.restitutionEveryMs;
  }

  /** Now and then: the next peer is asked for its rows, when something is owed for good. */
  onRoundDue(peers: readonly NodeId[], now: Now): ReplicaEffect[] {
    this.#peers = peers;
    const owing = this.#store.debts.list();
    if (owing.length === 0) {
      if (this.#claim !== undefined) this.abandon(now);
      this.#owingSinceMs = undefined;
      return [];
    }
    this.#owingSinceMs ??= now.monotonicMs;
    if (this.#claim !== undefined && !isSame(this.#claim.roster, this.#store.members.roster())) this.abandon(now);
    if (this.#reading !== undefined && this.#reading.untilMs > now.monotonicMs) return [];
    if (this.#reading !== undefined && this.#reading.silences++ < SILENCES_MAX) return [this.#want(this.#reading, now)];
    if (this.#reading !== undefined) return this.#giveUp(now);
    return now.monotonicMs < this.#nextMs ? [] : this.#readNext(new Set(owing), now);
  }

  onPiece(from: NodeId, piece: SnapshotPiece, now: Now): ReplicaEffect[] {
    const [reading, claim] = [this.#reading, this.#claim];
    if (reading?.peer !== from || claim === undefined || !isSameCursor(piece.after, reading.after)) return [];
    if (!isSame(claim.roster, this.#store.members.roster())) this.abandon(now);
    if (this.#claim === undefined) return [];
    if (reading.held === undefined) {
      const isProof = judge(claim, piece);
      if (isProof === false && reading.isForProof) claim.unproved.add(from);
      if (isProof === undefined || (reading.isForProof && !isProof)) return this.#giveUp(now);
      Object.assign(reading, { held: piece.holdings, isProof });
    }
    try {
      return this.#join(reading, claim, piece, now);
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // The peer's time runs out, and it is asked again.
    }
  }

  /** What is stamped ahead of this clock, or cannot be applied, comes again as a version; but nothing more of a lost origin. */
  #join(reading: Reading, claim: Claim, piece: SnapshotPiece, now: Now): ReplicaEffect[] {
    const latest = this.#early.latestAccepted(now, this.#store.highWater());
    const due = piece.changes.filter(({ hlc }) => hlc <= latest);
    const owed = new Map([...piece.basis].filter(([origin]) => origin !== this.#store.origin));
    const { rows, quarantined, conflicts } = this.#store.join(due, owed);
    const effects = conflicts.map(event);
    if (rows.length > 0) effects.push(event({ kind: "changed", source: "remote", rows }));
    const unjoined = [...piece.changes.filter(({ hlc }) => hlc > latest), ...quarantined.map(({ change }) => change)];
    if (unjoined.some(({ origin }) => claim.origins.has(origin))) return [...effects, ...this.#giveUp(now)];
    Object.assign(reading, { after: piece.next, silences: 0 });
    return [...effects, ...(piece.next.length > 0 ? [this.#want(reading, now)] : this.#finish(reading, claim, now))];
  }

  #readNext(origins: ReadonlySet<OriginId>, now: Now): ReplicaEffect[] {
    const claim = this.#claimFor(origins);
    const next = claim && this.#pick(claim, now.monotonicMs - (this.#owingSinceMs ?? now.monotonicMs));
    if (next === undefined) return [];
    this.#reading = { ...next, after: START, untilMs: 0, silences: 0, held: undefined, isProof: false };
    return [this.#want(this.#reading, now)];
  }

  /**
   * Goes on with the claim there is, if it is for these. A new one begins once all else that is owed was paid, and with it
   * came whatever those knew whose rows these are: that an origin has ended, for one.
   */
  #claimFor(origins: ReadonlySet<OriginId>): Claim | undefined {
    if (this.#claim !== undefined && isSame([...this.#claim.origins], [...origins])) return this.#claim;
    const isPaid = [...this.#store.basis()].every(
      ([origin, head]) => origins.has(origin) || isMet(head, this.#holding(origin)),
    );
    const roster = this.#store.members.roster();
    const held = appliedIn(this.#store);
    const nothing = { joined: new Set<NodeId>(), unproved: new Set<NodeId>(), told: new Map<OriginId, Ranges>() };
    this.#claim = isPaid ? { origins, roster, held, ...nothing } : undefined;
    return this.#claim;
  }

  /**
   * One that owes nothing, if any is known. Where none is, all of those enlisted, once they are there; members wait for each
   * other then, the first for nobody.
   */
  #pick({ roster, joined, unproved }: Claim, owingMs: number): Pick<Reading, "peer" | "isForProof"> | undefined {
    const self = originNode(this.#store.origin);
    const rank = this.#peers.filter((peer) => peer < self).length;
    const turn = rank + this.#failures;
    const taken = this.#peers.filter((peer) => !joined.has(peer) && !this.#store.members.isNodeEvicted(peer)).sort();
    const whole = taken.filter((peer) => this.#comparable.has(peer) && !unproved.has(peer));
    const proof = whole[turn % whole.length];
    if (proof !== undefined) return { peer: proof, isForProof: true };
    const areThere = roster.every((node) => node === self || joined.has(node) || taken.includes(node));
    if (!areThere || owingMs < rank * this.#config.restitutionEveryMs) return undefined;
    const left = taken.filter((peer) => roster.includes(peer));
    const peer = left[turn % left.length];
    return peer === undefined ? undefined : { peer, isForProof: false };
  }

  #finish({ peer, held = new Map(), isProof }: Reading, claim: Claim, now: Now): ReplicaEffect[] {
    this.#reading = undefined;
    claim.joined.add(peer);
    for (const origin of claim.origins) {
      const theirs = heldVersions(held.get(origin) ?? NO_HOLDING);
      claim.told.set(origin, theirs.union(claim.told.get(origin) ?? Ranges.empty));
    }
    const self = originNode(this.#store.origin);
    const areAll = claim.roster.every((node) => node === self || claim.joined.has(node));
    const settled = [...claim.origins].map((origin) => ({ origin, ...this.#seen(origin, claim) }));
    const isProved = isProof && settled.every(({ isAmong }) => isAmong);
    if (!isProved && !areAll) return this.#readNext(claim.origins, now);
    this.abandon(now);
    this.#store.debts.settle(settled);
    return [event({ kind: "restituted", origins: [...claim.origins], from: isProved ? "one" : "all" })];
  }

  /**
   * What of an origin is here by now, or was in the rows joined; and below it, what nobody has and so says nothing. `isAmong`:
   * all of it was held by those whose rows these are.
   */
  #seen(origin: OriginId, { told }: Claim): { versions: Ranges; isAmong: boolean } {
    const held = heldVersions(this.#holding(origin));
    const joined = this.#store.debts.joined(origin);
    const theirs = told.get(origin) ?? Ranges.empty;
    const all = Ranges.of(1, held.union(joined).union(theirs).spans.at(-1)?.[1] ?? 0);
    return { versions: all.subtract(held), isAmong: all.subtract(theirs).isEmpty };
  }

  #holding(origin: OriginId): Holding {
    return this.#store.holdings().get(origin) ?? NO_HOLDING;
  }

  #want(reading: Reading, now: Now): ReplicaEffect {
    reading.untilMs = now.monotonicMs + this.#config.gossip.wantTimeoutMs;
    return { kind: "frame", to: reading.peer, frame: { kind: "snapshot-want", after: reading.after } };
  }

  /** This peer proves nothing now. Another may, or it later: until then, what is missing is asked for as ever. */
  #giveUp(now: Now): ReplicaEffect[] {
    this.#reading = undefined;
    this.#failures++;
    this.#nextMs = now.monotonicMs + this.#config.restitutionEveryMs;
    return [];
  }
}

/**
 * Does the peer owe nothing, and hold all that was held here when this began? Undefined when it does not even know what was
 * known here, or waits yet for what is lost: then its rows count for nothing.
 */
function judge({ held, origins }: Claim, { holdings, basis }: SnapshotPiece): boolean | undefined {
  let isProof = true;
  for (const [origin, head] of basis) {
    if (isMet(head, holdings.get(origin) ?? NO_HOLDING)) continue;
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

/** What is held, but for what could not be applied: no peer's rows have that. */
function appliedIn(store: StorePort): Holdings {
  return new Map(
    [...store.holdings()].map(([origin, { head, gaps }]) => [
      origin,
      { head, gaps: gaps.union(store.quarantinedIn(origin)) },
    ]),
  );
}

function isMet(head: number, holding: Holding): boolean {
  return head <= holding.head && holding.gaps.intersect(Ranges.of(1, head)).isEmpty;
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((it) => b.includes(it));
}
