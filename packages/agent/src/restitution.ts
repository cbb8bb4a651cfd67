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
  type Heads,
  heldVersions,
  type Holdings,
  holdsUpTo,
  NO_HOLDING,
  type NodeId,
  type Now,
  type OriginId,
  originNode,
  Ranges,
} from "@patina/base";
import { isSameCursor, NO_CURSOR, type SnapshotPiece } from "@patina/gossip";
import { areAllJoined, type Claim, isAmong, isSame, judge, newClaim, note, settles, toHold } from "./claim.js";
import type { AgentConfig } from "./config.js";
import type { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";

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
  /** Readings given up so far: the next is of another peer. */
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
    const holdings = this.#store.holdings();
    const isOwed = (origin: OriginId): boolean => !holdsUpTo(holdings.get(origin) ?? NO_HOLDING, owed.get(origin) ?? 0);
    if ([...this.#claim.origins].some(isOwed)) this.abandon(now);
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
    if (this.#reading !== undefined) return this.#waitFor(this.#reading, now);
    if (now.monotonicMs < this.#nextMs) return [];
    // Goes on with the claim there is, if it is for these.
    if (!owing.every((origin) => this.#claim && settles(this.#claim, origin)))
      this.#claim = newClaim(owing, this.#store);
    const claim = this.#claim;
    if (claim === undefined) return [];
    // The last one enlisted has nobody's rows to wait for.
    return areAllJoined(claim, originNode(this.#store.origin)) ? this.#settle(claim, now) : this.#readNext(claim, now);
  }

  #waitFor(reading: Reading, now: Now): ReplicaEffect[] {
    if (reading.untilMs > now.monotonicMs) return [];
    return reading.silences++ < this.#config.restitutionSilencesMax ? [this.#want(reading, now)] : this.#giveUp(now);
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
    const { rows, quarantined, conflicts } = this.#store.join(due, piece.basis);
    const effects = conflicts.map(event);
    if (rows.length > 0) effects.push(event({ kind: "changed", source: "remote", rows }));
    const unjoined = [...piece.changes.filter(({ hlc }) => hlc > latest), ...quarantined.map(({ change }) => change)];
    for (const { origin } of unjoined) claim.unjoined.add(origin);
    const isInVain = this.#store.debts.list().some((origin) => claim.unjoined.has(origin));
    if (isInVain) return [...effects, ...this.#giveUp(now)];
    Object.assign(reading, { after: piece.next, silences: 0 });
    return [...effects, ...(piece.next.length > 0 ? [this.#want(reading, now)] : this.#finish(reading, claim, now))];
  }

  #readNext(claim: Claim, now: Now): ReplicaEffect[] {
    const next = this.#pick(claim, now.monotonicMs - (this.#owingSinceMs ?? now.monotonicMs));
    if (next === undefined) return [];
    this.#reading = { ...next, after: NO_CURSOR, untilMs: 0, silences: 0, held: undefined, isProof: false };
    return [this.#want(this.#reading, now)];
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
    note(claim, peer, held);
    if (isProof && isAmong(this.#endsWith(claim), held, this.#store)) return this.#settle(claim, now, held);
    if (areAllJoined(claim, originNode(this.#store.origin))) return this.#settle(claim, now);
    this.#reading = undefined;
    return this.#readNext(claim, now);
  }

  /** `proof` is what one held that owes nothing. It speaks for itself: what debtors had told is not backed by its rows. */
  #settle(claim: Claim, now: Now, proof?: Holdings): ReplicaEffect[] {
    const origins = this.#endsWith(claim);
    const told = (origin: OriginId): Ranges =>
      (proof === undefined ? claim.told.get(origin) : heldVersions(proof.get(origin) ?? NO_HOLDING)) ?? Ranges.empty;
    const settled = origins.map((origin) => ({ origin, versions: toHold(origin, told(origin), this.#store) }));
    try {
      this.#store.debts.settle(settled);
    } catch (thrown) {
      // With all joined, the next round settles; a proof is read again.
      if (proof === undefined) this.#reading = undefined;
      else this.abandon(now);
      return storeEvents(asAppError(thrown, "store-failed"));
    }
    this.abandon(now);
    return [event({ kind: "restituted", origins, from: proof === undefined ? "all" : "one" })];
  }

  #endsWith(claim: Claim): OriginId[] {
    return this.#store.debts.list().filter((origin) => settles(claim, origin));
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
