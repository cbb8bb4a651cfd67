/**
 * Forgetting, safely. What every enlisted member holds for good may be forgotten; a member that is gone for too long is
 * evicted, so that it no longer counts, and nothing is taken from it any more until it has enlisted anew.
 */
import { hlcFromMs, type Holdings, type NodeId, type Now, type OriginId, originNode } from "@patina/base";
import { Stability } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";

/** Members that are up, and when each was last heard of, on this process's own clock. */
export type HeardOf = ReadonlyMap<NodeId, number>;

export class Collection {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #stability = new Stability();
  /** How often since the start all that count had said what they hold, and something was stable. */
  rounds = 0;
  /** Enlisted nodes that are not up, and since when, on this process's own clock. */
  readonly #goneSince = new Map<NodeId, number>();

  constructor(store: StorePort, config: AgentConfig) {
    this.#store = store;
    this.#config = config;
  }

  /** A member said what it holds, and that it will not lose it. Of one whose copy does not count, that says nothing. */
  noteHeld(member: NodeId, holdings: Holdings): void {
    const copy = this.#store.members.copies().find((each) => originNode(each) === member);
    if (copy !== undefined) this.#stability.noteHeld(copy, holdings);
  }

  /** Tells the store what may be forgotten. What this member holds must be durable. */
  collect({ wallMs }: Now): void {
    this.noteHeld(originNode(this.#store.origin), this.#store.holdings());
    const heads = this.#stability.advance(this.#store.members.copies());
    const before = hlcFromMs(Math.max(0, wallMs - this.#config.collectAfterMs));
    if (heads === undefined) return;
    this.rounds++;
    this.#store.noteStable(heads, before);
  }

  /**
   * Enlisted nodes that have been gone for too long. One member, the first of those that are up, is to evict them, and only
   * on behalf of most: two halves of a parted cluster that gave each other up would never take anything from each other again.
   * Of the most, each must have been heard of since: behind one cut all are lost at once, but found out one after the other.
   */
  overdue(up: HeardOf, self: NodeId, now: Now): NodeId[] {
    for (const node of this.#goneSince.keys()) if (up.has(node)) this.#goneSince.delete(node);
    const gone = this.#store.members.roster().filter((node) => node !== self && !up.has(node));
    for (const node of gone) if (!this.#goneSince.has(node)) this.#goneSince.set(node, now.monotonicMs);
    if ([...up.keys()].some((node) => node < self)) return [];
    return gone.filter((node) => {
      const sinceMs = this.#goneSince.get(node) ?? Infinity;
      return now.monotonicMs - sinceMs > this.#config.evictAfterMs && this.#areMost(up, self, sinceMs);
    });
  }

  /** Is what was heard of since then most of those enlisted, or just the half with the first of them? */
  #areMost(up: HeardOf, self: NodeId, sinceMs: number): boolean {
    const roster = [...this.#store.members.roster()].sort();
    const there = roster.filter((node) => node === self || (up.get(node) ?? -Infinity) > sinceMs);
    const missing = roster.length - there.length;
    return there.length > missing || (there.length === missing && there[0] === roster[0]);
  }

  /** From a member that was given up, only what it writes with a new database is taken. */
  isRefused(from: NodeId, origin: OriginId): boolean {
    const { members } = this.#store;
    if (!members.isNodeEvicted(from)) return false;
    return originNode(origin) !== from || members.isEvicted(from, origin);
  }
}
