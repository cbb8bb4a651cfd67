/**
 * Forgetting, safely. What every enlisted member holds for good may be forgotten; a member that is gone for too long is
 * evicted, so that it no longer counts, and nothing is taken from it any more until it has enlisted anew.
 */
import { hlcFromMs, type Holdings, type NodeId, type Now, type OriginId, originNode } from "@patina/base";
import { Stability } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";

export class Collection {
  readonly #store: StorePort;
  readonly #config: AgentConfig;
  readonly #stability = new Stability();
  /** Enlisted nodes that are not up, and since when, on this process's own clock. */
  readonly #goneSince = new Map<NodeId, number>();

  constructor(store: StorePort, config: AgentConfig) {
    this.#store = store;
    this.#config = config;
  }

  /** A member said what it holds, and that it will not lose it. */
  noteHeld(member: NodeId, holdings: Holdings): void {
    this.#stability.noteHeld(member, holdings);
  }

  /** Tells the store what may be forgotten. What this member holds must be durable. */
  collect({ wallMs }: Now): void {
    this.#stability.noteHeld(originNode(this.#store.origin), this.#store.holdings());
    const heads = this.#stability.advance(this.#store.members.roster());
    const before = hlcFromMs(Math.max(0, wallMs - this.#config.collectAfterMs));
    if (heads !== undefined) this.#store.noteStable(heads, before);
  }

  /**
   * Enlisted nodes that have been gone for too long. One member, the first of those that are up, is to evict them, and only
   * on behalf of most: two halves of a parted cluster that gave each other up would never take anything from each other again.
   */
  overdue(up: readonly NodeId[], self: NodeId, now: Now): NodeId[] {
    for (const node of this.#goneSince.keys()) if (up.includes(node)) this.#goneSince.delete(node);
    const gone = this.#store.members.roster().filter((node) => node !== self && !up.includes(node));
    for (const node of gone) if (!this.#goneSince.has(node)) this.#goneSince.set(node, now.monotonicMs);
    if (up.some((node) => node < self) || !this.#areMost(up, self)) return [];
    return gone.filter((node) => now.monotonicMs - (this.#goneSince.get(node) ?? Infinity) > this.#config.evictAfterMs);
  }

  /** Is this most of those enlisted, or just the half with the first of them? */
  #areMost(up: readonly NodeId[], self: NodeId): boolean {
    const roster = [...this.#store.members.roster()].sort();
    const there = roster.filter((node) => node === self || up.includes(node));
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
