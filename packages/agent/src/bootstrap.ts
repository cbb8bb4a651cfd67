/**
 * Catching up by snapshot. A member that lacks very many versions asks a peer for all its rows, piece by piece, and joins
 * them with its own. Only after the last piece does it count as holding what every piece's sender held: before, some row of
 * those versions may not have come yet. Interrupted, it goes on where it was, with that peer or another.
 *
 *   far behind ──► want a piece ──► join it, note what its sender held ──► …the last ──► hold what all senders held
 *                       ▲                        │
 *                       └── peer gone, or silent ┘   (joined rows stay: joining them again changes nothing)
 */
import {
  asAppError,
  type EmptyVersions,
  heldVersions,
  holdAlso,
  type Holding,
  type Holdings,
  holdingsWithin,
  NO_HOLDING,
  type NodeId,
  type Now,
  type OriginId,
  Ranges,
  type Rng,
} from "@patina/base";
import { type Frame, isSameCursor, NO_CURSOR, type SnapshotPiece } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { EarlyChanges } from "./early-changes.js";
import type { StorePort } from "./ports.js";
import { event, type ReplicaEffect, storeEvents } from "./replica-effect.js";

interface Progress {
  peer: NodeId;
  /** The peer that does not send a piece by then is given up. */
  untilMs: number;
  after: Uint8Array;
  /** By origin, what every sender of a piece so far held; undefined before the first. */
  held: ReadonlyMap<OriginId, Ranges> | undefined;
}

export class Bootstrap {
  readonly #store: StorePort;
  readonly #config: AgentConfig["gossip"];
  readonly #early: EarlyChanges;
  readonly #rng: Rng;
  #progress: Progress | undefined;
  /** Its last pass is over, and what came meanwhile is still being made up for. */
  #isCatchingUp = false;

  constructor(store: StorePort, config: AgentConfig, early: EarlyChanges, rng: Rng) {
    this.#store = store;
    this.#config = config.gossip;
    this.#early = early;
    this.#rng = rng;
  }

  /** Single versions are not asked for meanwhile: nearly all of them are on their way. */
  get isUnderWay(): boolean {
    return this.#progress !== undefined;
  }

  /**
   * A peer says what it holds. When that is very much more than what is held here, and no other peer is being asked, it is
   * asked for its rows; none otherwise.
   */
  consider(peer: NodeId, theirs: Holdings, now: Now): ReplicaEffect[] {
    if (this.#progress !== undefined && this.#progress.untilMs > now.monotonicMs) return [];
    const mine = this.#store.holdings();
    let lacking = 0;
    for (const [origin, holding] of theirs) {
      if (origin === this.#store.origin) continue;
      lacking += heldVersions(holding).subtract(heldVersions(mine.get(origin) ?? NO_HOLDING)).size;
    }
    const { snapshotFromVersions, snapshotAgainFromVersions } = this.#config;
    if (lacking <= snapshotFromVersions) this.#isCatchingUp = false;
    if (lacking <= (this.#isCatchingUp ? snapshotAgainFromVersions : snapshotFromVersions)) {
      this.#progress = undefined;
      return [];
    }
    const { after, held } = this.#progress ?? { after: NO_CURSOR, held: undefined };
    this.#progress = { peer, untilMs: 0, after, held };
    return [event({ kind: "bootstrap", state: "begun", peer }), this.#want(this.#progress, now)];
  }

  /** The peer is gone: another is asked to go on. */
  forgetPeer(peer: NodeId): void {
    if (this.#progress?.peer === peer) this.#progress.untilMs = -Infinity;
  }

  /** Now and then: a piece that did not come is asked for again, of any of these. */
  onRoundDue(servers: readonly NodeId[], now: Now): ReplicaEffect[] {
    const progress = this.#progress;
    if (progress === undefined || progress.untilMs > now.monotonicMs) return [];
    const peer = this.#rng.pick(servers);
    if (peer === undefined) return [];
    progress.peer = peer;
    return [this.#want(progress, now)];
  }

  /** A piece came. The next is asked for before it is joined, so that it is on its way meanwhile. */
  onPiece(from: NodeId, piece: SnapshotPiece, now: Now): ReplicaEffect[] {
    const progress = this.#progress;
    if (progress?.peer !== from || !isSameCursor(piece.after, progress.after)) return [];
    if (this.#store.members.isNodeEvicted(from)) return [];
    try {
      // What is stamped ahead of this clock comes by itself, later, and waits for its time as it always does.
      const latest = this.#early.latestAccepted(now, this.#store.highWater());
      const { rows, quarantined, conflicts } = this.#store.join(
        piece.changes.filter(({ hlc }) => hlc <= latest),
        piece.basis,
      );
      const early = piece.changes.filter(({ hlc }) => hlc > latest);
      const unjoined = [...early, ...quarantined.map(({ change }) => change)];
      progress.held = intersect(progress.held, piece.holdings, unjoined);
      progress.after = piece.next;
      return [
        ...conflicts.map(event),
        ...(rows.length > 0 ? [event({ kind: "changed", source: "remote", rows })] : []),
        ...(piece.next.length > 0 ? [this.#want(progress, now)] : this.#finish(progress)),
      ];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // The peer's time runs out, and the piece is asked for again.
    }
  }

  /** A peer wants a piece of what is here. */
  answer(to: NodeId, { after }: Extract<Frame, { kind: "snapshot-want" }>): ReplicaEffect[] {
    try {
      // That something is lost must not be forgotten once others have counted on it.
      if (this.#store.debts.list().length > 0 && !this.#store.isDurable) this.#store.makeDurable();
      const holdings = new Map<OriginId, Holding>();
      for (const [origin, holding] of this.#store.holdings()) {
        const applied = heldVersions(holding).subtract(this.#store.quarantinedIn(origin));
        if (!applied.isEmpty) holdings.set(origin, holdAlso(NO_HOLDING, applied));
      }
      const { changes, next } = this.#store.snapshot(
        after.length === 0 ? undefined : after,
        this.#config.snapshotBytes,
      );
      const frame = {
        kind: "snapshot",
        holdings: holdingsWithin(holdings, this.#config.spansMax),
        basis: this.#store.basis(),
        changes,
        after,
        next: next ?? NO_CURSOR,
      } as const;
      return [{ kind: "frame", to, frame }];
    } catch (thrown) {
      return storeEvents(asAppError(thrown, "store-failed")); // Nothing is said: the peer asks another, or again.
    }
  }

  #want(progress: Progress, now: Now): ReplicaEffect {
    progress.untilMs = now.monotonicMs + this.#config.wantTimeoutMs;
    return { kind: "frame", to: progress.peer, frame: { kind: "snapshot-want", after: progress.after } };
  }

  #finish({ peer, held }: Progress): ReplicaEffect[] {
    const empties: EmptyVersions[] = [];
    for (const [origin, versions] of held ?? []) {
      const lacking = versions.subtract(heldVersions(this.#store.holdings().get(origin) ?? NO_HOLDING));
      if (origin !== this.#store.origin && !lacking.isEmpty) empties.push({ origin, versions: lacking });
    }
    this.#store.apply([], empties, new Map());
    this.#progress = undefined;
    this.#isCatchingUp = true;
    return [event({ kind: "bootstrap", state: "done", peer })];
  }
}

/** What was held before and is held by this sender, too, but for what could not be joined. */
function intersect(
  before: Progress["held"],
  holdings: Holdings,
  unjoined: readonly { readonly origin: OriginId; readonly version: number }[],
): Map<OriginId, Ranges> {
  const held = new Map<OriginId, Ranges>();
  for (const [origin, holding] of holdings) {
    const theirs = heldVersions(holding);
    const both = before === undefined ? theirs : theirs.intersect(before.get(origin) ?? Ranges.empty);
    if (!both.isEmpty) held.set(origin, both);
  }
  for (const { origin, version } of unjoined) {
    held.set(origin, (held.get(origin) ?? Ranges.empty).subtract(Ranges.of(version, version)));
  }
  return held;
}
