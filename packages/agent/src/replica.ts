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
  type Hlc,
  hlcFromMs,
  hlcToMs,
  holdingsHash,
  holds,
  type NodeId,
  type Now,
  type OriginId,
  Ranges,
  type Rng,
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
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";
import type { AgentEvent, AgentTimer, Effect, Ticketed } from "./protocol.js";

/** Early changes are looked at again at least this often: the wall clock may be set meanwhile. */
const DUE_CHECK_MS = 5000;

export type ReplicaEffect =
  | { readonly kind: "frame"; readonly to: NodeId; readonly frame: Frame }
  | { readonly kind: "broadcast"; readonly frame: Frame }
  | Extract<Effect, { kind: "wake" | "outcome" | "event" }>;

export class Replica {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #broadcast: Broadcast;
  readonly #inbox: Inbox;
  readonly #antiEntropy: AntiEntropy;
  #isApplyScheduled = false;
  #isDueScheduled = false;
  /** The basis of what is being read back from peers' rows, until the store has noted it. */
  #owed: Map<OriginId, number> = new Map();
  /** Fingerprint of the holdings when a peer was last asked for all it can give. */
  #heldWhenAsked = "";
  /** Origins that wait for the clock. Asking for more of them would only bring what cannot be kept. */
  #early: ReadonlySet<OriginId> = new Set();
  /** Origins whose clocks the alarm was raised over. */
  #alarmed: ReadonlySet<OriginId> = new Set();

  constructor(store: StorePort, config: AgentConfig, rng: Rng) {
    this.#store = store;
    this.#config = config;
    this.#broadcast = new Broadcast(config.gossip);
    this.#inbox = new Inbox(config.gossip);
    this.#antiEntropy = new AntiEntropy(config.gossip, rng);
  }

  get parkedBytes(): number {
    return this.#inbox.parkedBytes;
  }

  start(): ReplicaEffect[] {
    return [this.#wakeForSync()];
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
        this.#isDueScheduled = false;
        return this.#applyReady(now);
      case "sync": {
        const peer = this.#antiEntropy.pickPeer(reachable, now);
        return [this.#wakeForSync(), ...(peer === undefined ? [] : [this.#sum(peer, false)])];
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
        return this.#onEmpty(frame.empties, now);
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
        this.#antiEntropy.forgetAsked(from);
        return frame.isComplete || !this.#hasAdvanced() ? [] : this.compareWith(from, now);
    }
  }

  #onChanges(from: NodeId, changes: readonly Change[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const change of changes) {
      if (change.origin === this.#store.origin) continue; // Nobody else writes our versions; what comes back is old.
      if (!holds(holdings.get(change.origin), change.version)) this.#inbox.offer(change, holdings);
    }
    const applied = this.#applyReady(now);
    return [...applied, ...this.#want(from, this.#inbox.knownGaps(this.#store.holdings()), now)];
  }

  #onEmpty(empties: readonly OriginRanges[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const empty of empties) {
      if (empty.origin !== this.#store.origin) this.#inbox.offerEmpty(empty, holdings); // As with changes.
    }
    return this.#applyReady(now);
  }

  /** Applies what is next in line, a slice at a time, so that a flood never holds the thread for long. */
  #applyReady(now: Now): ReplicaEffect[] {
    const latest = this.#latestAccepted(now);
    const { arrivals, more, early } = this.#inbox.takeReady(this.#store.holdings(), this.#config.applyBytesMax, latest);
    this.#early = new Set(early.map(({ origin }) => origin));
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
    return [...effects, ...this.#awaitDue(early, now)];
  }

  /**
   * The latest stamp to be taken in now. What was taken in before counts as much as the wall clock: a cluster whose wall
   * clocks were all set back goes on from where it was.
   */
  #latestAccepted({ wallMs }: Now): Hlc {
    const wall = hlcFromMs(wallMs);
    const high = this.#store.highWater();
    return (wall > high ? wall : high) + hlcFromMs(this.#config.gossip.aheadMaxMs);
  }

  /** Comes back when the first of the early changes is due, and raises the alarm over clocks that are far ahead. */
  #awaitDue(early: readonly Change[], now: Now): ReplicaEffect[] {
    const { aheadMaxMs, aheadAlarmMs } = this.#config.gossip;
    const effects: ReplicaEffect[] = [];
    let soonestMs = DUE_CHECK_MS;
    for (const { origin, hlc } of early) {
      const aheadMs = hlcToMs(hlc) - now.wallMs;
      soonestMs = Math.min(soonestMs, Math.max(1, aheadMs - aheadMaxMs));
      if (aheadMs > aheadAlarmMs && !this.#alarmed.has(origin)) {
        effects.push(event({ kind: "clock-ahead", origin, aheadMs }));
      }
    }
    const far = early.filter(({ hlc }) => hlcToMs(hlc) - now.wallMs > aheadAlarmMs);
    this.#alarmed = new Set(far.map(({ origin }) => origin));
    if (early.length === 0 || this.#isDueScheduled) return effects;
    this.#isDueScheduled = true;
    return [...effects, { kind: "wake", afterMs: soonestMs, timer: { kind: "due" } }];
  }

  #apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ReplicaEffect[] {
    try {
      const { rows, quarantined, conflicts } = this.#store.apply(changes, empties, this.#owed);
      this.#owed = new Map();
      return [
        ...quarantined.map(({ change, reason }) => event({ kind: "quarantined", change, reason })),
        ...conflicts.map(event),
        ...(rows.length > 0 ? [event({ kind: "changed", source: "remote", rows })] : []),
      ];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // What was not applied is a gap, and fetched again.
    }
  }

  #onSum(from: NodeId, theirs: Extract<Frame, { kind: "sum" }>, now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    if (holdingsHash(holdings) !== theirs.holdingsHash) {
      if (!theirs.isReply) return [{ kind: "frame", to: from, frame: { kind: "holdings", holdings, isReply: false } }];
      this.#antiEntropy.onAnswer(from, now);
      return []; // One of us moved on in between. The next round will tell.
    }
    this.#antiEntropy.onAnswer(from, now);
    const effects: ReplicaEffect[] = [event({ kind: "synced", peer: from })];
    const ours = this.#store.comparableDigest();
    const isProof = ours !== undefined && theirs.digest !== NOT_COMPARABLE;
    if (isProof && ours !== theirs.digest) {
      effects.push(event({ kind: "divergence", peer: from, ours, theirs: theirs.digest }));
    }
    if (!theirs.isReply) effects.push(this.#sum(from, true));
    return effects;
  }

  #onHoldings(
    from: NodeId,
    { holdings: theirs, isReply }: Extract<Frame, { kind: "holdings" }>,
    now: Now,
  ): ReplicaEffect[] {
    this.#antiEntropy.onAnswer(from, now);
    const mine = this.#store.holdings();
    const wants = needFrom(mine, theirs, this.#config.gossip.wantVersionsMax, (origin) => this.#onItsWay(origin, now));
    const effects = this.#want(from, wants, now);
    if (effects.length > 0) this.#heldWhenAsked = holdingsHash(mine);
    const own = this.#store.origin;
    if ((theirs.get(own)?.head ?? 0) > (mine.get(own)?.head ?? 0)) {
      const reason = "it holds versions of this database that this database does not: an old copy of it was put back";
      effects.push(event({ kind: "refused", from, reason }));
    }
    if (!isReply && canHelp(mine, theirs)) {
      effects.push({ kind: "frame", to: from, frame: { kind: "holdings", holdings: mine, isReply: true } });
    }
    return effects;
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
      if (origin === this.#store.origin) continue; // What comes back of our own is not taken: asking would never end.
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

  #sum(to: NodeId, isReply: boolean): ReplicaEffect {
    const frame = {
      kind: "sum",
      holdingsHash: holdingsHash(this.#store.holdings()),
      digest: this.#store.comparableDigest() ?? NOT_COMPARABLE,
      isReply,
    } as const;
    return { kind: "frame", to, frame };
  }

  #wakeForSync(): ReplicaEffect {
    return { kind: "wake", afterMs: this.#antiEntropy.nextRoundAfterMs(), timer: { kind: "sync" } };
  }
}

function event(what: AgentEvent): { readonly kind: "event"; readonly event: AgentEvent } {
  return { kind: "event", event: what };
}

/** A store that was only busy is no reason to stop. */
function storeEvents(error: AppError): ReplicaEffect[] {
  return error.code === "store-busy" ? [] : [event({ kind: "store-failed", error })];
}
