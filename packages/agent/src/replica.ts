/**
 * One member's copy of the cluster's data: local writes out, remote changes in.
 * It joins `gossip`'s decisions to the store; who is reachable and how bytes travel is the agent's business.
 *
 *   write ──► store ──► spread (to the others, at once)
 *   frames ─► inbox (in order) ──► store
 *   rounds ─► reconciliation (what differs, and who has it)
 */
import {
  asAppError,
  type Change,
  type EmptyVersions,
  holds,
  type NodeId,
  type Now,
  originNode,
  type Rng,
  type RowWrite,
} from "@patina/base";
import {
  type Frame,
  Inbox,
  type OriginRanges,
  type Served,
  type SnapshotPiece,
  type UnknownFrame,
} from "@patina/gossip";
import { Bootstrap } from "./bootstrap.js";
import { Collection, type HeardOf } from "./collection.js";
import type { AgentConfig } from "./config.js";
import { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import type { AgentTimer, Ticketed } from "./protocol.js";
import { Reconciliation } from "./reconciliation.js";
import { Restitution } from "./restitution.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";
import { type OwnChange, Spread } from "./spread.js";

const NO_TICKET = -1;
const GIVEN_UP = "it was gone for too long, and the others have given it up";

/** What a replica is woken for. */
export type ReplicaTimer = Extract<AgentTimer, { kind: "flush" | "heads" | "pull" | "apply" | "due" | "sync" }>;

export class Replica {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #inbox: Inbox;
  readonly #spread: Spread;
  readonly #reconciliation: Reconciliation;
  readonly #collection: Collection;
  readonly #early: EarlyChanges;
  readonly #bootstrap: Bootstrap;
  readonly #restitution: Restitution;
  #isApplyScheduled = false;
  #hasEnlistedAgain = false;
  #syncedMs = -Infinity;

  constructor(store: StorePort, config: AgentConfig, rng: Rng) {
    this.#store = store;
    this.#config = config;
    this.#inbox = new Inbox(config.gossip);
    this.#spread = new Spread(store, config);
    this.#collection = new Collection(store, config);
    this.#early = new EarlyChanges(config);
    this.#bootstrap = new Bootstrap(store, config, this.#early, rng.fork());
    this.#restitution = new Restitution(store, config, this.#early);
    const [inbox, collection, early] = [this.#inbox, this.#collection, this.#early];
    const [bootstrap, restitution] = [this.#bootstrap, this.#restitution];
    this.#reconciliation = new Reconciliation({ store, config, inbox, collection, early, bootstrap, restitution, rng });
  }

  get parkedBytes(): number {
    return this.#inbox.parkedBytes;
  }

  get stableRounds(): number {
    return this.#collection.rounds;
  }

  /** Changes go by way of relays, so that heads must be told, too. */
  set tellsHeads(tells: boolean) {
    this.#spread.tellsHeads = tells;
  }

  /** Enlists this member, if it is not yet, and begins. */
  start(now: Now): ReplicaEffect[] {
    return [this.#reconciliation.wakeForRound(), ...this.#writeOwn(this.#store.members.enlistment(), now)];
  }

  /**
   * It enlisted by a clock that was behind, before it heard of its last database's row: that has won, and nobody knows of the
   * new one, or takes anything from it if it was given up. But for that case once only, or two that go by one name would write
   * this row in turn for ever.
   */
  #enlistAgain(now: Now): ReplicaEffect[] {
    const { members, origin } = this.#store;
    if (!members.isNodeEvicted(originNode(origin)) && this.#hasEnlistedAgain) return [];
    const row = members.enlistment();
    const written = this.#writeOwn(row, now);
    if (row !== undefined && members.enlistment() === undefined) this.#hasEnlistedAgain = true;
    return written;
  }

  /** Gives up enlisted nodes that have been gone for too long. */
  evictGone(up: HeardOf, self: NodeId, now: Now): ReplicaEffect[] {
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
    const changes: OwnChange[] = [];
    outcomes.forEach((outcome, i) => {
      effects.push({ kind: "outcome", ticket: writes[i]?.ticket ?? -1, outcome });
      if (!outcome.ok || outcome.change === undefined) return;
      changes.push({ change: outcome.change, rows: outcome.rows });
      effects.push(event({ kind: "changed", source: "local", rows: outcome.rows }));
    });
    return [...effects, ...this.#spread.own(changes, now)];
  }

  /** A row that the agent writes by itself: nobody waits for its outcome. */
  #writeOwn(row: RowWrite | undefined, now: Now): ReplicaEffect[] {
    if (row === undefined) return [];
    const written = this.write([{ ticket: NO_TICKET, write: { kind: "rows", rows: [row] } }], now);
    return written.filter(({ kind }) => kind !== "outcome");
  }

  /** `servers` are those whom to compare with. */
  onWake(timer: ReplicaTimer, servers: readonly NodeId[], now: Now): ReplicaEffect[] {
    switch (timer.kind) {
      case "flush":
        return this.#spread.onFlush();
      case "heads":
        return this.#spread.onHeadsDue();
      case "pull":
        return this.#onPullDue(now);
      case "apply":
        this.#isApplyScheduled = false;
        return this.#applyReady(now);
      case "due":
        this.#early.onDue();
        return this.#applyReady(now);
      case "sync":
        return [...this.#collect(now), ...this.#enlistAgain(now), ...this.#reconciliation.onRoundDue(servers, now)];
    }
  }

  compareWith(peer: NodeId, now: Now): ReplicaEffect[] {
    return this.#reconciliation.compareWith(peer, now);
  }

  forgetPeer(peer: NodeId): void {
    this.#reconciliation.forgetPeer(peer);
    this.#bootstrap.forgetPeer(peer);
    this.#spread.forgetPeer(peer);
  }

  onFrame(from: NodeId, frame: Exclude<Frame, { kind: "hello" }> | UnknownFrame, now: Now): ReplicaEffect[] {
    switch (frame.kind) {
      case "changes":
        return this.#onChanges(from, frame.changes, now);
      case "relay":
        return [...this.#spread.relay(frame), ...this.#onChanges(from, frame.changes, now)];
      case "heads":
        return this.#spread.onHeads(from, frame.heads, now);
      case "empty":
        return this.#onEmpty(from, frame.empties, now);
      case "sum":
        return this.#reconciliation.onSum(from, frame, now);
      case "holdings":
        return this.#reconciliation.onHoldings(from, frame, now);
      case "want":
        return this.#reconciliation.answerWant(from, frame.wants);
      case "repairing":
        this.#reconciliation.owe(frame.basis);
        return this.#reconciliation.whetherPutBack(frame.basis.get(this.#store.origin) ?? 0);
      case "repaired":
        return this.#reconciliation.onRepaired(from, frame, now);
      case "snapshot-want":
        this.#reconciliation.forgetEnded(now);
        return this.#bootstrap.answer(from, frame);
      case "snapshot":
        return this.#onSnapshot(from, frame, now);
      case "unknown":
        return [];
    }
  }

  #onChanges(from: NodeId, changes: readonly Change[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const change of changes) {
      if (change.origin === this.#store.origin) continue; // Nobody else writes our versions; what comes back is old.
      if (this.#collection.isRefused(from, change.origin)) continue;
      if (!this.#reconciliation.isTaken(change, now)) continue;
      if (!holds(holdings.get(change.origin), change.version)) this.#inbox.offer(change, holdings);
    }
    // While one origin's flood is worked off, what comes of others overtakes it.
    const applied = this.#applyReady(now, this.#isApplyScheduled ? "fresh" : "all");
    return [...applied, ...this.#reconciliation.want(from, this.#inbox.knownGaps(this.#store.holdings()), now)];
  }

  /** What just came may say that the others have given this database up. */
  #whetherEvicted(): ReplicaEffect[] {
    return this.#store.members.isSelfEvicted ? [event({ kind: "evicted", reason: GIVEN_UP })] : [];
  }

  /** After the last piece, what came meanwhile follows on from it, and the rest is compared. */
  #onSnapshot(from: NodeId, piece: SnapshotPiece, now: Now): ReplicaEffect[] {
    const putBack = this.#reconciliation.whetherPutBack(piece.basis.get(this.#store.origin) ?? 0);
    if (putBack.length > 0) return putBack;
    // What is owed of its own for good is nothing that it could wait for.
    const basis = new Map([...piece.basis].filter(([origin]) => origin !== this.#store.origin));
    const others = { ...piece, basis };
    const pieces = [...this.#bootstrap.onPiece(from, others, now), ...this.#restitution.onPiece(from, others, now)];
    const effects = [...pieces, ...this.#whetherEvicted()];
    if (!effects.some((it) => it.kind === "event" && it.event.kind === "bootstrap")) return effects;
    return [...effects, ...this.#applyReady(now), ...this.compareWith(from, now)];
  }

  #onPullDue(now: Now): ReplicaEffect[] {
    const { asks, effects } = this.#spread.onPullDue(now);
    const [, timeoutMs] = this.#config.gossip.pullAfterMs;
    const wants = asks.flatMap(({ from, gaps }) => this.#reconciliation.want(from, gaps, now, timeoutMs));
    return [...wants, ...effects];
  }

  #onEmpty(from: NodeId, empties: readonly OriginRanges[], now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    for (const empty of empties) {
      const isOwn = empty.origin === this.#store.origin; // As with changes.
      if (isOwn || this.#collection.isRefused(from, empty.origin)) continue;
      const versions = this.#reconciliation.taken(empty.origin, empty.versions, now);
      if (!versions.isEmpty) this.#inbox.offerEmpty({ origin: empty.origin, versions }, holdings);
    }
    return this.#applyReady(now);
  }

  /** Applies what is next in line, a slice at a time, so that a flood never holds the thread for long. */
  #applyReady(now: Now, served: Served = "all"): ReplicaEffect[] {
    const latest = this.#early.latestAccepted(now, this.#store.highWater());
    const { applyBytesMax } = this.#config;
    const { arrivals, more, early } = this.#inbox.takeReady(this.#store.holdings(), applyBytesMax, latest, served);
    const effects: ReplicaEffect[] = [];
    if (arrivals.length > 0) {
      const changes = arrivals.flatMap((it) => (it.kind === "change" ? [it.change] : []));
      const empties = arrivals.flatMap((it) => (it.kind === "empty" ? [it.empty] : []));
      effects.push(...this.#apply(changes, empties, now));
    }
    if (more && !this.#isApplyScheduled) {
      this.#isApplyScheduled = true;
      effects.push({ kind: "wake", afterMs: 0, timer: { kind: "apply" } });
    }
    // A slice for the fresh has not asked the others, who may wait for the clock: the next for all does.
    return served === "fresh" ? effects : [...effects, ...this.#early.await(early, now)];
  }

  #apply(changes: readonly Change[], empties: readonly EmptyVersions[], now: Now): ReplicaEffect[] {
    try {
      const { owed } = this.#reconciliation;
      const { rows, quarantined, forked, conflicts } = this.#store.apply(changes, empties, owed);
      this.#restitution.onRepaired(owed, now);
      this.#reconciliation.settleOwed();
      return [
        ...quarantined.map(({ change, reason }) => event({ kind: "quarantined", change, reason })),
        ...forked.map(({ origin, version }) => event({ kind: "forked", origin, version })),
        ...conflicts.map(event),
        ...this.#spread.applied(changes),
        ...(rows.length > 0 ? [event({ kind: "changed", source: "remote", rows })] : []),
        ...this.#whetherEvicted(),
      ];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // What was not applied is a gap, and fetched again.
    }
  }

  /** Now and then what was applied is synced, so that others may count on it; then what all hold may be forgotten. */
  #collect(now: Now): ReplicaEffect[] {
    try {
      if (!this.#store.isDurable && now.monotonicMs - this.#syncedMs >= this.#config.syncEveryMs) {
        this.#store.makeDurable();
        this.#syncedMs = now.monotonicMs;
      }
      if (this.#store.isDurable && this.#store.isWhole) this.#collection.collect(now);
      return [];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed"));
    }
  }
}
