/**
 * How changes spread: what this member tells of its own, passes on for others, and asks for when it hears of a version that
 * has not come. All of it is a matter of speed: with none of it, anti-entropy still brings everything everywhere.
 */
import {
  type Change,
  changeBytes,
  type ChangedRow,
  type Heads,
  NO_HOLDING,
  type NodeId,
  type Now,
  type OriginId,
  Ranges,
} from "@patina/base";
import {
  Broadcast,
  type BroadcastStep,
  Budget,
  type Frame,
  HeadsTold,
  type OriginRanges,
  Relayed,
} from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";
import { event, type ReplicaEffect } from "./replica-effect.js";

/** A change that deletes must overtake those that do not: somebody may still be sending traffic there. */
export interface OwnChange {
  readonly change: Change;
  readonly rows: readonly ChangedRow[];
}

/** What to ask a member for, and how long to wait for it. */
export interface Asked {
  readonly from: NodeId;
  readonly gaps: readonly OriginRanges[];
}

export class Spread {
  readonly #store: StorePort;
  readonly #config: AgentConfig["gossip"];
  readonly #broadcast: Broadcast;
  readonly #budget: Budget;
  readonly #heads: HeadsTold;
  readonly #relayed: Relayed;
  #isOverBudget = false;
  /** Heads are told around: what is pushed goes by way of relays, and may be lost with them. */
  tellsHeads = false;

  constructor(store: StorePort, { gossip }: AgentConfig) {
    this.#store = store;
    this.#config = gossip;
    this.#broadcast = new Broadcast(gossip);
    this.#budget = new Budget(gossip.originBytesPerSecond, gossip.originBurstBytes);
    this.#heads = new HeadsTold(gossip);
    this.#relayed = new Relayed(gossip.relayedMax);
  }

  /** Own changes, just committed. Over the budget only the head is told. */
  own(changes: readonly OwnChange[], now: Now): ReplicaEffect[] {
    if (changes.length === 0) return [];
    const bytes = changes.reduce((sum, { change }) => sum + changeBytes(change), 0);
    const isWithin = this.#budget.spend(bytes, now);
    const effects: ReplicaEffect[] = [];
    if (isWithin === this.#isOverBudget) {
      this.#isOverBudget = !isWithin;
      effects.push(event({ kind: "over-budget", isOver: !isWithin }));
    }
    if (!isWithin || this.tellsHeads) effects.push(...this.#advanced(this.#store.origin));
    if (!isWithin) return effects;
    const isUrgent = changes.some(({ rows }) => rows.some(({ kind }) => kind === "delete"));
    return [...effects, ...this.#push(this.#broadcast.offer(changes.map(({ change }) => change), isUrgent))]; // prettier-ignore
  }

  /** Others' changes were applied. */
  applied(changes: readonly Change[]): ReplicaEffect[] {
    if (!this.tellsHeads) return [];
    return [...new Set(changes.map(({ origin }) => origin))].flatMap((origin) => this.#advanced(origin));
  }

  onFlush(): ReplicaEffect[] {
    return this.#push(this.#broadcast.onWake());
  }

  /** To be passed on, once, to whoever is within the interval. */
  relay({ interval, changes }: Extract<Frame, { kind: "relay" }>): ReplicaEffect[] {
    const fresh = this.#relayed.takeNew(changes);
    return fresh.length === 0 ? [] : [{ kind: "pass-on", interval, changes: fresh }];
  }

  /** A member tells what it holds. */
  onHeads(from: NodeId, heads: Heads, now: Now): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    const effects: ReplicaEffect[] = [];
    for (const [origin, head] of heads) {
      if (origin === this.#store.origin || head <= (holdings.get(origin)?.head ?? 0)) continue;
      const afterMs = this.#heads.noteLack(origin, head, from, now);
      if (afterMs !== undefined) effects.push({ kind: "wake", afterMs, timer: { kind: "pull" } });
    }
    return effects;
  }

  /** Heads are to be told again, or what was heard of is to be asked for. */
  onHeadsDue(): ReplicaEffect[] {
    const holdings = this.#store.holdings();
    const heads = this.#heads.tell((origin) => holdings.get(origin)?.head ?? 0);
    return heads.size === 0 ? [] : [{ kind: "tell-heads", heads }, this.#wakeForHeads()];
  }

  onPullDue(now: Now): { asks: Asked[]; effects: ReplicaEffect[] } {
    const holdings = this.#store.holdings();
    const isHeld = (origin: OriginId, head: number): boolean => (holdings.get(origin)?.head ?? 0) >= head;
    const { pulls, wakeAfterMs } = this.#heads.pulls(isHeld, now);
    const asks = pulls.map(({ origin, head, from }) => {
      const held = holdings.get(origin) ?? NO_HOLDING;
      return { from, gaps: [{ origin, versions: held.gaps.union(Ranges.of(held.head + 1, head)) }] };
    });
    const again = wakeAfterMs === undefined ? [] : [{ kind: "wake", afterMs: wakeAfterMs, timer: { kind: "pull" } } as const]; // prettier-ignore
    return { asks, effects: again };
  }

  forgetPeer(peer: NodeId): void {
    this.#heads.forgetPeer(peer);
  }

  #advanced(origin: OriginId): ReplicaEffect[] {
    return this.#heads.noteAdvanced(origin) ? [this.#wakeForHeads()] : [];
  }

  #wakeForHeads(): ReplicaEffect {
    return { kind: "wake", afterMs: this.#config.headsEveryMs, timer: { kind: "heads" } };
  }

  #push({ batches, isUrgent, wakeAfterMs }: BroadcastStep): ReplicaEffect[] {
    const frames = batches.map((changes): ReplicaEffect => ({ kind: "broadcast", changes, isUrgent }));
    if (wakeAfterMs === undefined) return frames;
    return [...frames, { kind: "wake", afterMs: wakeAfterMs, timer: { kind: "flush" } }];
  }
}
