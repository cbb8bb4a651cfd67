/**
 * Comparing with a peer, and making up what either lacks: the part that alone converges a cluster. What is asked for, of whom,
 * and what is answered from this member's own rows.
 */
import {
  asAppError,
  type Change,
  type EmptyVersions,
  type Heads,
  holdingsHash,
  holdingsWithin,
  holdsUpTo,
  must,
  NO_HOLDING,
  type NodeId,
  type Now,
  type OriginId,
  originNode,
  Ranges,
  type Rng,
  VERSION_MAX,
} from "@patina/base";
import {
  AntiEntropy,
  canHelp,
  type Frame,
  type Inbox,
  needFrom,
  NOT_COMPARABLE,
  type OriginRanges,
  packChanges,
} from "@patina/gossip";
import type { Bootstrap } from "./bootstrap.js";
import type { Collection } from "./collection.js";
import type { AgentConfig } from "./config.js";
import type { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import type { Restitution } from "./restitution.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";

/** It would issue its versions a second time, and they would say something else. */
const ROLLED_BACK = "others know of versions of it that it does not have: an old copy was put back";

export interface ReconciliationParts {
  readonly store: StorePort;
  readonly config: AgentConfig;
  readonly inbox: Inbox;
  readonly collection: Collection;
  readonly early: EarlyChanges;
  readonly bootstrap: Bootstrap;
  readonly restitution: Restitution;
  readonly rng: Rng;
}

export class Reconciliation {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #inbox: Inbox;
  readonly #collection: Collection;
  readonly #early: EarlyChanges;
  readonly #bootstrap: Bootstrap;
  readonly #restitution: Restitution;
  readonly #antiEntropy: AntiEntropy;
  /** The basis of what is being read back from peers' rows, until the store has noted it. */
  #owed = new Map<OriginId, number>();
  /** Fingerprint of the holdings when a peer was last asked for all it can give. */
  #heldWhenAsked = "";

  constructor({ store, config, inbox, collection, early, bootstrap, restitution, rng }: ReconciliationParts) {
    this.#bootstrap = bootstrap;
    this.#restitution = restitution;
    this.#store = store;
    this.#config = config;
    this.#inbox = inbox;
    this.#collection = collection;
    this.#early = early;
    this.#antiEntropy = new AntiEntropy(config.gossip, rng);
  }

  wakeForRound(): ReplicaEffect {
    return { kind: "wake", afterMs: this.#antiEntropy.nextRoundAfterMs(), timer: { kind: "sync" } };
  }

  /** A round is due: one of these peers is compared with, unless a round is under way. */
  onRoundDue(servers: readonly NodeId[], now: Now): ReplicaEffect[] {
    this.forgetEnded(now);
    const peer = this.#antiEntropy.pickPeer(servers, now);
    const pieces = this.#bootstrap.isUnderWay
      ? this.#bootstrap.onRoundDue(servers, now)
      : this.#restitution.onRoundDue(servers, now);
    return [this.wakeForRound(), ...pieces, ...(peer === undefined ? [] : [this.#sum(peer, false)])];
  }

  /** A peer became reachable, or caught up with its queue: compare with it now. */
  compareWith(peer: NodeId, now: Now): ReplicaEffect[] {
    this.#antiEntropy.begin(peer, now);
    return [this.#sum(peer, false)];
  }

  forgetPeer(peer: NodeId): void {
    this.#antiEntropy.forgetPeer(peer);
    this.#restitution.forgetPeer(peer);
  }

  /** What the changes about to be applied depend on besides, for the store to note with them. */
  get owed(): Heads {
    return this.#owed;
  }

  /** The store has noted it. */
  settleOwed(): void {
    this.#owed = new Map();
  }

  onSum(from: NodeId, theirs: Extract<Frame, { kind: "sum" }>, now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    this.#restitution.noteComparable(from, theirs.digest !== NOT_COMPARABLE);
    if (holdingsHash(holdings) !== theirs.holdingsHash) {
      if (!theirs.isReply) return [this.#tellHoldings(from, false)];
      this.#antiEntropy.onAnswer(from, now);
      return []; // One of us moved on in between. The next round will tell.
    }
    this.#antiEntropy.onAnswer(from, now);
    if (theirs.isDurable) this.#collection.noteHeld(from, holdings);
    const effects: ReplicaEffect[] = [event({ kind: "synced", peer: from }), ...this.#remind(from)];
    const ours = this.#store.comparableDigest();
    const isProof = ours !== undefined && theirs.digest !== NOT_COMPARABLE;
    if (isProof && ours !== theirs.digest) {
      effects.push(event({ kind: "divergence", peer: from, ours, theirs: theirs.digest }));
    }
    return theirs.isReply ? effects : [...effects, this.#sum(from, true)];
  }

  onHoldings(
    from: NodeId,
    { holdings: theirs, isReply, isDurable }: Extract<Frame, { kind: "holdings" }>,
    now: Now,
  ): ReplicaEffect[] {
    this.#antiEntropy.onAnswer(from, now);
    if (isDurable) this.#collection.noteHeld(from, theirs);
    const snapshot = this.#restitution.isUnderWay ? [] : this.#bootstrap.consider(from, theirs, now);
    if (snapshot.length > 0) this.#restitution.abandon(now);
    if (this.#bootstrap.isUnderWay) return snapshot;
    const mine = this.#store.holdings();
    const wants = needFrom(mine, theirs, this.#config.gossip.wantVersionsMax, (origin) => this.#onItsWay(origin, now));
    const effects = this.want(from, wants, now);
    if (effects.length > 0) this.#heldWhenAsked = holdingsHash(mine);
    const own = this.#store.origin;
    effects.push(...this.whetherPutBack(theirs.get(own)?.head ?? 0), ...this.#remind(from));
    return !isReply && canHelp(mine, theirs) ? [...effects, this.#tellHoldings(from, true)] : effects;
  }

  answerWant(from: NodeId, wants: readonly OriginRanges[]): ReplicaEffect[] {
    try {
      return this.#onWant(from, wants);
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // Nothing is said rather than half of it.
    }
  }

  /** Others know of this version of its own. Rows depend on it, or it is held: either way, it was made, and kept. */
  whetherPutBack(version: number): ReplicaEffect[] {
    const { head } = this.#store.holdings().get(this.#store.origin) ?? NO_HOLDING;
    const isPutBack = version > head && version !== VERSION_MAX; // What is owed for good is no version.
    return isPutBack ? [event({ kind: "evicted", reason: ROLLED_BACK })] : [];
  }

  /** To one whose own versions the rows here wait for: it has them, or it was put back to an old copy and must know. */
  #remind(peer: NodeId): ReplicaEffect[] {
    if (this.#store.isWhole) return [];
    const holdings = this.#store.holdings();
    const basis = new Map(
      [...this.#store.basis()].filter(
        ([origin, head]) =>
          originNode(origin) === peer && head !== VERSION_MAX && !holdsUpTo(holdings.get(origin) ?? NO_HOLDING, head),
      ),
    );
    return basis.size === 0 ? [] : [{ kind: "frame", to: peer, frame: { kind: "repairing", basis } }];
  }

  /** What comes next from a peer was read from rows that say no more than this. */
  owe(basis: Heads): void {
    for (const [origin, head] of basis) {
      if (origin !== this.#store.origin) this.#owed.set(origin, Math.max(head, this.#owed.get(origin) ?? 0));
    }
  }

  onRepaired(from: NodeId, { isComplete }: Extract<Frame, { kind: "repaired" }>, now: Now): ReplicaEffect[] {
    this.#antiEntropy.onRepaired(from);
    return isComplete || !this.#hasAdvanced() ? [] : this.compareWith(from, now);
  }

  /** Asks a member for what is missing, but for what is on its way already. */
  want(
    from: NodeId,
    gaps: readonly OriginRanges[],
    now: Now,
    timeoutMs = this.#config.gossip.wantTimeoutMs,
  ): ReplicaEffect[] {
    if (this.#bootstrap.isUnderWay || !this.#restitution.isAskable(from)) return [];
    const { wantVersionsMax, spansMax } = this.#config.gossip;
    const wants: OriginRanges[] = [];
    let left = wantVersionsMax;
    for (const { origin, versions } of gaps) {
      if (this.#early.has(origin)) continue;
      // What is not taken must not be asked for: the answer would leave the gap as it is, and asking would never end.
      if (origin === this.#store.origin || this.#collection.isRefused(from, origin)) continue;
      const missing = versions.subtract(this.#antiEntropy.asked(origin, now)).take(left).takeSpans(spansMax);
      if (missing.isEmpty) continue;
      wants.push({ origin, versions: missing });
      left -= missing.size;
    }
    if (wants.length === 0) return [];
    this.#antiEntropy.noteAsked(from, wants, now, timeoutMs);
    return [{ kind: "frame", to: from, frame: { kind: "want", wants } }];
  }

  #onWant(from: NodeId, wants: readonly OriginRanges[]): ReplicaEffect[] {
    const { repairBytesMax, frameBytesMax, wantVersionsMax, spansMax } = this.#config.gossip;
    const basis = this.#store.basis();
    const effects: ReplicaEffect[] = [];
    const empties: EmptyVersions[] = [];
    let budget = repairBytesMax;
    let versionsLeft = wantVersionsMax; // Looking for versions that say nothing costs time, too, and no bytes.
    let isComplete = true;
    let isExact = true;
    for (const { origin, versions: wanted } of wants) {
      const versions = wanted.take(versionsLeft);
      if (versions.size < wanted.size) isComplete = false;
      if (budget <= 0 || versionsLeft <= 0) {
        isComplete = false;
        break;
      }
      versionsLeft -= versions.size;
      const { changes, empty } = this.#store.extract(origin, versions, budget);
      for (const part of partsOf(empty, spansMax)) empties.push({ origin, versions: part });
      isExact &&= empty.isEmpty && changes.every(({ chain }) => chain !== undefined);
      if (changes.length + empty.size < versions.size) isComplete = false;
      for (const batch of packChanges(changes, frameBytesMax)) {
        effects.push({ kind: "frame", to: from, frame: { kind: "changes", changes: batch } });
      }
      for (const change of changes) budget -= change.body.length;
    }
    if (empties.length > 0) effects.push({ kind: "frame", to: from, frame: { kind: "empty", empties } });
    // With nothing but versions as they were made, no row of these comes into it.
    if (!isExact) effects.unshift({ kind: "frame", to: from, frame: { kind: "repairing", basis } });
    return [...effects, { kind: "frame", to: from, frame: { kind: "repaired", isComplete } }];
  }

  /** Did what was asked for last change anything? If not, asking again at once would only turn in a circle. */
  #hasAdvanced(): boolean {
    return holdingsHash(this.#store.holdings()) !== this.#heldWhenAsked;
  }

  /** Of an origin that has ended, only what was asked for is taken: others may have counted what there is of it. */
  isTaken({ origin, version }: Change, now: Now): boolean {
    return !this.#store.debts.hasEnded(origin) || this.#antiEntropy.asked(origin, now).has(version);
  }

  /** The same of versions that say nothing any more. */
  taken(origin: OriginId, versions: Ranges, now: Now): Ranges {
    return this.#store.debts.hasEnded(origin) ? versions.intersect(this.#antiEntropy.asked(origin, now)) : versions;
  }

  /** What waits of origins that have ended is not taken any more, before others hear what is here. */
  forgetEnded(now: Now): void {
    this.#inbox.forget(
      (origin) => this.#store.debts.hasEnded(origin),
      (origin) => this.#antiEntropy.asked(origin, now),
    );
  }

  #onItsWay(origin: OriginId, now: Now): Ranges {
    if (this.#early.has(origin)) return Ranges.of(1, VERSION_MAX);
    return this.#inbox.parkedVersions(origin).union(this.#antiEntropy.asked(origin, now));
  }

  #tellHoldings(to: NodeId, isReply: boolean): ReplicaEffect {
    const isDurable = this.#isKept();
    const holdings = holdingsWithin(this.#store.holdings(), this.#config.gossip.spansMax);
    return { kind: "frame", to, frame: { kind: "holdings", holdings, isReply, isDurable } };
  }

  /** What is held is kept for good, and the rows are what it says: others may forget what they need it for no more. */
  #isKept(): boolean {
    return this.#store.isDurable && this.#store.isWhole;
  }

  #sum(to: NodeId, isReply: boolean): ReplicaEffect {
    const frame = {
      kind: "sum",
      holdingsHash: holdingsHash(this.#store.holdings()),
      digest: this.#store.comparableDigest() ?? NOT_COMPARABLE,
      isReply,
      isDurable: this.#isKept(),
    } as const;
    return { kind: "frame", to, frame };
  }
}

/** In pieces of so many spans: of what has been overwritten again and again, each version may be one of its own. */
function partsOf(versions: Ranges, spansMax: number): Ranges[] {
  const parts: Ranges[] = [];
  for (let rest = versions; !rest.isEmpty; rest = rest.subtract(must(parts.at(-1), "a part"))) {
    parts.push(rest.takeSpans(spansMax));
  }
  return parts;
}
