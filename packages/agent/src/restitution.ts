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
} from "@patina/base";
import { isSameCursor, type SnapshotPiece } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";

/** What has been joined so far, and for which debts. */
interface Claim {
  readonly origins: ReadonlySet<OriginId>;
  /** What was held here when it began. */
  readonly held: Holdings;
  readonly joined: Set<NodeId>;
  /** By origin of the debts, what any of those holds of it. */
  readonly told: Map<OriginId, Ranges>;
}

interface Reading {
  readonly peer: NodeId;
  /** Where the piece begins that it was asked for. */
  after: Uint8Array;
  /** Silent for so long, it is given up. */
  untilMs: number;
  /** It owed nothing and held all that was held here, when its first piece was read. Undefined before. */
  isProof: boolean | undefined;
}

const START = new Uint8Array();

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

  constructor(store: StorePort, config: AgentConfig, early: EarlyChanges) {
    this.#store = store;
    this.#config = config;
    this.#early = early;
  }

  /** Single versions are not asked for meanwhile: what is read back from a debtor's rows would leave out the same. */
  get isUnderWay(): boolean {
    return this.#reading !== undefined;
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
  onRepaired(owed: Heads): void {
    if (this.#claim === undefined) return;
    const holdings = this.#store.holdings();
    for (const origin of this.#claim.origins) {
      if ((owed.get(origin) ?? 0) > (holdings.get(origin)?.head ?? 0)) this.#abandon();
    }
  }

  /** Now and then: the next peer is asked for its rows, when something is owed for good. */
  onRoundDue(peers: readonly NodeId[], now: Now): ReplicaEffect[] {
    const debts = this.#store.debts.list();
    if (debts.length === 0) {
      this.#abandon();
      this.#owingSinceMs = undefined;
      return [];
    }
    this.#owingSinceMs ??= now.monotonicMs;
    if (this.#reading !== undefined && this.#reading.untilMs <= now.monotonicMs) this.#giveUp(now);
    if (this.#reading !== undefined || now.monotonicMs < this.#nextMs) return [];
    const claim = this.#claimFor(new Set(debts.map(({ origin }) => origin)));
    const peer = claim && this.#pick(peers, claim, now.monotonicMs - this.#owingSinceMs);
    if (peer === undefined) return [];
    this.#reading = { peer, after: START, untilMs: 0, isProof: undefined };
    return [this.#want(this.#reading, now)];
  }

  /**
   * Goes on with the claim there is, if it is for these. A new one begins once all else that is owed was paid, and with it
   * came whatever those knew whose rows these are: that an origin has ended, for one.
   */
  #claimFor(origins: ReadonlySet<OriginId>): Claim | undefined {
    const before = this.#claim;
    if (before?.origins.size === origins.size && [...origins].every((it) => before.origins.has(it))) return before;
    const held = this.#store.holdings();
    const isPaid = [...this.#store.basis()].every(([origin, head]) => {
      const { head: mine, gaps } = held.get(origin) ?? NO_HOLDING;
      return origins.has(origin) || (head <= mine && gaps.isEmpty);
    });
    this.#claim = isPaid ? { origins, held, joined: new Set(), told: new Map() } : undefined;
    return this.#claim;
  }

  onPiece(from: NodeId, piece: SnapshotPiece, now: Now): ReplicaEffect[] {
    const [reading, claim] = [this.#reading, this.#claim];
    if (reading?.peer !== from || claim === undefined || !isSameCursor(piece.after, reading.after)) return [];
    reading.isProof ??= this.#judge(claim, piece);
    const latest = this.#early.latestAccepted(now, this.#store.highWater());
    if (reading.isProof === undefined || piece.changes.some(({ hlc }) => hlc > latest)) return this.#giveUp(now);
    try {
      const { rows, quarantined, conflicts } = this.#store.join(piece.changes, piece.basis);
      const effects = conflicts.map(event);
      if (rows.length > 0) effects.push(event({ kind: "changed", source: "remote", rows }));
      if (quarantined.length > 0) return [...effects, ...this.#giveUp(now)];
      reading.after = piece.next;
      return [...effects, ...(piece.next.length > 0 ? [this.#want(reading, now)] : this.#finish(reading, claim))];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // The peer's time runs out, and it begins anew.
    }
  }

  /** Those that owe nothing first; where nobody is known to, members wait for each other, the first for nobody. */
  #pick(peers: readonly NodeId[], { joined }: Claim, owingMs: number): NodeId | undefined {
    const self = originNode(this.#store.origin);
    const rank = peers.filter((peer) => peer < self).length;
    const left = peers.filter((peer) => !joined.has(peer) && !this.#store.members.isNodeEvicted(peer)).sort();
    const comparable = left.filter((peer) => this.#comparable.has(peer));
    const turn = rank + this.#failures;
    if (comparable.length > 0 && joined.size === 0) return comparable[turn % comparable.length];
    return owingMs < rank * this.#config.restitutionEveryMs ? undefined : left[turn % left.length];
  }

  /**
   * The first piece: does the peer owe nothing, and hold all that was held here when this began? Undefined when it does not
   * even know what was known here: then its rows count for nothing.
   */
  #judge({ held, origins, told }: Claim, { holdings, basis }: SnapshotPiece): boolean | undefined {
    let isProof = [...basis].every(([origin, head]) => {
      const { head: theirs, gaps } = holdings.get(origin) ?? NO_HOLDING;
      return head === theirs && gaps.isEmpty;
    });
    for (const [origin, holding] of held) {
      const [firstLacking] = lacking(holding, holdings.get(origin)).spans[0] ?? [];
      if (firstLacking === undefined) continue;
      // Of a lost origin, what comes after a gap cannot be passed on before the gap is void.
      if (!origins.has(origin) || firstLacking < (holding.gaps.spans[0]?.[0] ?? Infinity)) return undefined;
      isProof = false;
    }
    for (const origin of origins) {
      const theirs = heldVersions(holdings.get(origin) ?? NO_HOLDING);
      told.set(origin, theirs.union(told.get(origin) ?? Ranges.empty));
    }
    return isProof;
  }

  #finish({ peer, isProof }: Reading, claim: Claim): ReplicaEffect[] {
    this.#reading = undefined;
    claim.joined.add(peer);
    const debts = this.#store.debts.list().filter(({ origin }) => claim.origins.has(origin));
    const isGapless = debts.every(({ origin, joined }) => joined.isEmpty && this.#holding(origin).gaps.isEmpty);
    const self = originNode(this.#store.origin);
    const areAll = this.#store.members.roster().every((node) => node === self || claim.joined.has(node));
    if (!(isProof === true && isGapless) && !areAll) return [];
    this.#store.debts.settle(
      debts.map(({ origin, joined }) => ({ origin, versions: this.#seen(origin, joined, claim) })),
    );
    this.#abandon();
    return [event({ kind: "restituted", origins: debts.map(({ origin }) => origin) })];
  }

  /** What is here of an origin, and below that, what nobody has and so says nothing. */
  #seen(origin: OriginId, joined: Ranges, { told }: Claim): Ranges {
    const here = heldVersions(this.#holding(origin)).union(joined);
    const known = here.union(told.get(origin) ?? Ranges.empty);
    const nobodys = Ranges.of(1, known.spans.at(-1)?.[1] ?? 0).subtract(known);
    return joined.union(nobodys);
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

  #abandon(): void {
    this.#claim = undefined;
    this.#reading = undefined;
  }
}

function lacking(mine: Holding, theirs: Holding = NO_HOLDING): Ranges {
  return heldVersions(mine).subtract(heldVersions(theirs));
}
