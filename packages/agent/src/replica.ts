/**
 * One member's copy of the cluster's data: local writes out, remote changes in, and the comparing that makes sure.
 * It joins `gossip`'s decisions to the store; who is reachable and how bytes travel is the agent's business.
 */
import {
  type AppError,
  asAppError,
  type Change,
  type EmptyVersions,
  type Heads,
  holdingsHash,
  holds,
  type NodeId,
  type Now,
  type OriginId,
  Ranges,
  type Rng,
  type RowWrite,
  VERSION_MAX,
} from "@patina/base";
import {
  AntiEntropy,
  Broadcast,
  type BroadcastStep,
  canHelp,
  type Frame,
  Inbox,
  needFrom,
  NOT_COMPARABLE,
  type OriginRanges,
  packChanges,
} from "@patina/gossip";
import { Collection } from "./collection.js";
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";
import { EarlyChanges } from "./early-changes.js";
import type { AgentTimer, Ticketed } from "./protocol.js";
import { event, type ReplicaEffect } from "./replica-effect.js";

const NO_TICKET = -1;
const GIVEN_UP = "it was gone for too long, and the others have given it up";
/** It would issue its versions a second time, and they would say something else. */
const ROLLED_BACK = "others hold versions of it that it does not have: an old copy was put back";

export class Replica {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #broadcast: Broadcast;
  readonly #inbox: Inbox;
  readonly #antiEntropy: AntiEntropy;
  readonly #collection: Collection;
  #isApplyScheduled = false;
  #syncedMs = -Infinity;
  /** The basis of what is being read back from peers' rows, until the store has noted it. */
  #owed: Map<OriginId, number> = new Map();
  /** Fingerprint of the holdings when a peer was last asked for all it can give. */
  #heldWhenAsked = "";
  readonly #early: EarlyChanges;

  constructor(store: StorePort, config: AgentConfig, rng: Rng) {
    this.#store = store;
    this.#config = config;
    this.#broadcast = new Broadcast(config.gossip);
    this.#inbox = new Inbox(config.gossip);
    this.#antiEntropy = new AntiEntropy(config.gossip, rng);
    this.#collection = new Collection(store, config);
    this.#early = new EarlyChanges(config);
  }

  get parkedBytes(): number {
    return this.#inbox.parkedBytes;
  }

  /** Enlists this member, if it is not yet, and begins. */
  start(now: Now): ReplicaEffect[] {
    return [this.#wakeForSync(), ...this.#writeOwn(this.#store.members.enlistment(), now)];
  }

  /** Gives up enlisted nodes that have been gone for too long. */
  evictGone(up: readonly NodeId[], self: NodeId, now: Now): ReplicaEffect[] {
    const overdue = this.#collection.overdue(up, self, now);
    return overdue.flatMap((node) => this.#writeOwn(this.#store.members.eviction(node), now));
  }

  /** Local writes: one transaction for all, acknowledged only when durable, and told to everybody at once. */
  write(writes: readonly Ticketed[], now: Now): ReplicaEffect[] {
    let outcomes;
    try {
      outcomes = this.#store.commit(
        writes.map(({ write }) => write),
        now.wallMs,
      );
    } catch (thrown) {
      const error = asAppError(thrown, "store-failed");
      const refused = writes.map(({ ticket }) => ({ kind: "outcome", ticket, outcome: { ok: false, error } }) as const);
      return [...refused, ...storeEvents(error)];
    }
    const effects: ReplicaEffect[] = [];
    const changes: Change[] = [];
    outcomes.forEach((outcome, i) => {
      effects.push({ kind: "outcome", ticket: writes[i]?.ticket ?? -1, outcome });
      if (!outcome.ok || outcome.change === undefined) return;
      changes.push(outcome.change);
      effects.push(event({ kind: "changed", source: "local", rows: outcome.rows }));
    });
    return [...effects, ...this.#push(this.#broadcast.offer(changes))];
  }

  /** A row that the agent writes by itself: nobody waits for its outcome. */
  #writeOwn(row: RowWrite | undefined, now: Now): ReplicaEffect[] {
    if (row === undefined) return [];
    const written = this.write([{ ticket: NO_TICKET, write: { kind: "rows", rows: [row] } }], now);
    return written.filter(({ kind }) => kind !== "outcome");
  }

  onWake(
    timer: Extract<AgentTimer, { kind: "flush" | "apply" | "due" | "sync" }>,
    reachable: NodeId[],
    now: Now,
  ): ReplicaEffect[] {
    switch (timer.kind) {
      case "flush":
        return this.#push(this.#broadcast.onWake());
      case "apply":
        this.#isApplyScheduled = false;
        return this.#applyReady(now);
      case "due":
        this.#early.onDue();
        return this.#applyReady(now);
      case "sync": {
        const peer = this.#antiEntropy.pickPeer(reachable, now);
        return [this.#wakeForSync(), ...this.#collect(now), ...(peer === undefined ? [] : [this.#sum(peer, false)])];
      }
    }
  }

  /** A peer became reachable, or caught up with its queue: compare with it now. */
  compareWith(peer: NodeId, now: Now): ReplicaEffect[] {
    this.#antiEntropy.begin(peer, now);
    return [this.#sum(peer, false)];
  }

  forgetPeer(peer: NodeId): void {
    this.#antiEntropy.forgetPeer(peer);
  }

  onFrame(from: NodeId, frame: Exclude<Frame, { kind: "hello" }>, now: Now): ReplicaEffect[] {
    switch (frame.kind) {
      case "changes":
        return this.#onChanges(from, frame.changes, now);
      case "empty":
        return this.#onEmpty(from, frame.empties, now);
      case "sum":
        return this.#onSum(from, frame, now);
      case "holdings":
        return this.#onHoldings(from, frame, now);
      case "want":
        return this.#answerWant(from, frame.wants);
      case "repairing":
        this.#owe(frame.basis);
        return [];
      case "repaired":
        this.#antiEntropy.onRepaired(from);
        return frame.isComplete || !this.#hasAdvanced() ? [] : this.compareWith(from, now);
    }
  }

  #onChanges(from: NodeId, changes: readonly Change[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const change of changes) {
      if (change.origin === this.#store.origin) continue; // Nobody else writes our versions; what comes back is old.
      if (this.#collection.isRefused(from, change.origin)) continue;
      if (!holds(holdings.get(change.origin), change.version)) this.#inbox.offer(change, holdings);
    }
    const applied = this.#applyReady(now);
    return [...applied, ...this.#want(from, this.#inbox.knownGaps(this.#store.holdings()), now)];
  }

  #onEmpty(from: NodeId, empties: readonly OriginRanges[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const empty of empties) {
      const isOwn = empty.origin === this.#store.origin; // As with changes.
      if (!isOwn && !this.#collection.isRefused(from, empty.origin)) this.#inbox.offerEmpty(empty, holdings);
    }
    return this.#applyReady(now);
  }

  /** Applies what is next in line, a slice at a time, so that a flood never holds the thread for long. */
  #applyReady(now: Now): ReplicaEffect[] {
    const latest = this.#early.latestAccepted(now, this.#store.highWater());
    const { arrivals, more, early } = this.#inbox.takeReady(this.#store.holdings(), this.#config.applyBytesMax, latest);
    const effects: ReplicaEffect[] = [];
    if (arrivals.length > 0) {
      const changes = arrivals.flatMap((it) => (it.kind === "change" ? [it.change] : []));
      const empties = arrivals.flatMap((it) => (it.kind === "empty" ? [it.empty] : []));
      effects.push(...this.#apply(changes, empties));
    }
    if (more && !this.#isApplyScheduled) {
      this.#isApplyScheduled = true;
      effects.push({ kind: "wake", afterMs: 0, timer: { kind: "apply" } });
    }
    return [...effects, ...this.#early.await(early, now)];
  }

  #apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ReplicaEffect[] {
    try {
      const { rows, quarantined, forked, conflicts } = this.#store.apply(changes, empties, this.#owed);
      this.#owed = new Map();
      return [
        ...quarantined.map(({ change, reason }) => event({ kind: "quarantined", change, reason })),
        ...forked.map(({ origin, version }) => event({ kind: "forked", origin, version })),
        ...conflicts.map(event),
        ...(rows.length > 0 ? [event({ kind: "changed", source: "remote", rows })] : []),
        ...(this.#store.members.isSelfEvicted ? [event({ kind: "evicted", reason: GIVEN_UP })] : []),
      ];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // What was not applied is a gap, and fetched again.
    }
  }

  #onSum(from: NodeId, theirs: Extract<Frame, { kind: "sum" }>, now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    if (holdingsHash(holdings) !== theirs.holdingsHash) {
      if (!theirs.isReply) return [this.#tellHoldings(from, false)];
      this.#antiEntropy.onAnswer(from, now);
      return []; // One of us moved on in between. The next round will tell.
    }
    this.#antiEntropy.onAnswer(from, now);
    if (theirs.isDurable) this.#collection.noteHeld(from, holdings);
    const effects: ReplicaEffect[] = [event({ kind: "synced", peer: from })];
    const ours = this.#store.comparableDigest();
    const isProof = ours !== undefined && theirs.digest !== NOT_COMPARABLE;
    if (isProof && ours !== theirs.digest) {
      effects.push(event({ kind: "divergence", peer: from, ours, theirs: theirs.digest }));
    }
    return theirs.isReply ? effects : [...effects, this.#sum(from, true)];
  }

  #onHoldings(
    from: NodeId,
    { holdings: theirs, isReply, isDurable }: Extract<Frame, { kind: "holdings" }>,
    now: Now,
  ): ReplicaEffect[] {
    this.#antiEntropy.onAnswer(from, now);
    if (isDurable) this.#collection.noteHeld(from, theirs);
    const mine = this.#store.holdings();
    const wants = needFrom(mine, theirs, this.#config.gossip.wantVersionsMax, (origin) => this.#onItsWay(origin, now));
    const effects = this.#want(from, wants, now);
    if (effects.length > 0) this.#heldWhenAsked = holdingsHash(mine);
    const own = this.#store.origin;
    if ((theirs.get(own)?.head ?? 0) > (mine.get(own)?.head ?? 0)) {
      effects.push(event({ kind: "evicted", reason: ROLLED_BACK }));
    }
    return !isReply && canHelp(mine, theirs) ? [...effects, this.#tellHoldings(from, true)] : effects;
  }

  #answerWant(from: NodeId, wants: readonly OriginRanges[]): ReplicaEffect[] {
    try {
      return this.#onWant(from, wants);
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // Nothing is said rather than half of it.
    }
  }

  #onWant(from: NodeId, wants: readonly OriginRanges[]): ReplicaEffect[] {
    const { repairBytesMax, frameBytesMax, wantVersionsMax } = this.#config.gossip;
    const basis = this.#store.basis();
    const effects: ReplicaEffect[] = [{ kind: "frame", to: from, frame: { kind: "repairing", basis } }];
    const empties: EmptyVersions[] = [];
    let budget = repairBytesMax;
    let versionsLeft = wantVersionsMax; // Looking for versions that say nothing costs time, too, and no bytes.
    let isComplete = true;
    for (const { origin, versions: wanted } of wants) {
      const versions = wanted.take(versionsLeft);
      if (versions.size < wanted.size) isComplete = false;
      if (budget <= 0 || versionsLeft <= 0) {
        isComplete = false;
        break;
      }
      versionsLeft -= versions.size;
      const { changes, empty } = this.#store.extract(origin, versions, budget);
      if (!empty.isEmpty) empties.push({ origin, versions: empty });
      if (changes.length + empty.size < versions.size) isComplete = false;
      for (const batch of packChanges(changes, frameBytesMax)) {
        effects.push({ kind: "frame", to: from, frame: { kind: "changes", changes: batch } });
      }
      for (const change of changes) budget -= change.body.length;
    }
    if (empties.length > 0) effects.push({ kind: "frame", to: from, frame: { kind: "empty", empties } });
    return [...effects, { kind: "frame", to: from, frame: { kind: "repaired", isComplete } }];
  }

  #want(from: NodeId, gaps: readonly OriginRanges[], now: Now): ReplicaEffect[] {
    const wants: OriginRanges[] = [];
    let left = this.#config.gossip.wantVersionsMax;
    for (const { origin, versions } of gaps) {
      if (this.#early.has(origin)) continue;
      // What is not taken must not be asked for: the answer would leave the gap as it is, and asking would never end.
      if (origin === this.#store.origin || this.#collection.isRefused(from, origin)) continue;
      const missing = versions.subtract(this.#antiEntropy.asked(origin, now)).take(left);
      if (missing.isEmpty) continue;
      wants.push({ origin, versions: missing });
      left -= missing.size;
    }
    if (wants.length === 0) return [];
    this.#antiEntropy.noteAsked(from, wants, now);
    return [{ kind: "frame", to: from, frame: { kind: "want", wants } }];
  }

  #owe(basis: Heads): void {
    for (const [origin, head] of basis) {
      if (origin !== this.#store.origin) this.#owed.set(origin, Math.max(head, this.#owed.get(origin) ?? 0));
    }
  }

  /** Did what was asked for last change anything? If not, asking again at once would only turn in a circle. */
  #hasAdvanced(): boolean {
    return holdingsHash(this.#store.holdings()) !== this.#heldWhenAsked;
  }

  #onItsWay(origin: OriginId, now: Now): Ranges {
    if (this.#early.has(origin)) return Ranges.of(1, VERSION_MAX);
    return this.#inbox.parkedVersions(origin).union(this.#antiEntropy.asked(origin, now));
  }

  #push({ batches, wakeAfterMs }: BroadcastStep): ReplicaEffect[] {
    const frames = batches.map((changes): ReplicaEffect => ({
      kind: "broadcast",
      frame: { kind: "changes", changes },
    }));
    return wakeAfterMs === undefined
      ? frames
      : [...frames, { kind: "wake", afterMs: wakeAfterMs, timer: { kind: "flush" } }];
  }

  /** Now and then what was applied is synced, so that others may count on it; then what all hold may be forgotten. */
  #collect(now: Now): ReplicaEffect[] {
    try {
      if (!this.#store.isDurable && now.monotonicMs - this.#syncedMs >= this.#config.syncEveryMs) {
        this.#store.makeDurable();
        this.#syncedMs = now.monotonicMs;
      }
      if (this.#store.isDurable) this.#collection.collect(now);
      return [];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed"));
    }
  }

  #tellHoldings(to: NodeId, isReply: boolean): ReplicaEffect {
    const { isDurable } = this.#store;
    return { kind: "frame", to, frame: { kind: "holdings", holdings: this.#store.holdings(), isReply, isDurable } };
  }

  #sum(to: NodeId, isReply: boolean): ReplicaEffect {
    const frame = {
      kind: "sum",
      holdingsHash: holdingsHash(this.#store.holdings()),
      digest: this.#store.comparableDigest() ?? NOT_COMPARABLE,
      isReply,
      isDurable: this.#store.isDurable,
    } as const;
    return { kind: "frame", to, frame };
  }

  #wakeForSync(): ReplicaEffect {
    return { kind: "wake", afterMs: this.#antiEntropy.nextRoundAfterMs(), timer: { kind: "sync" } };
  }
}

/** A store that was only busy is no reason to stop. */
function storeEvents(error: AppError): ReplicaEffect[] {
  return error.code === "store-busy" ? [] : [event({ kind: "store-failed", error })];
}
