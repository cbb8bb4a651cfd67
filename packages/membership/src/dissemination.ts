/**
 * Rumours waiting to ride on datagrams: one per node, the least told first, each told a number of times that grows with
 * the logarithm of the cluster. SWIM section 4.1. A rumour may still miss somebody: the roster hash finds that.
 */
import { assert, type NodeId } from "@patina/base";
import type { MembershipConfig } from "./config.js";

interface Waiting {
  readonly node: NodeId;
  readonly accuser: NodeId | undefined;
  transmits: number;
}

export class Dissemination {
  readonly #config: MembershipConfig;
  readonly #waiting = new Map<NodeId, Waiting>();

  constructor(config: MembershipConfig) {
    this.#config = config;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** News about `node`: replaces what was waiting about it. */
  add(node: NodeId, accuser?: NodeId): void {
    this.#waiting.delete(node); // So that the newest comes last in insertion order.
    this.#waiting.set(node, { node, accuser, transmits: 0 });
    if (this.#waiting.size > this.#config.rumoursMax) this.#dropMostTold();
    assert(this.#waiting.size <= this.#config.rumoursMax, "rumours stay within their limit");
  }

  /**
   * Offers the rumours one by one, the least told first and among those the newest first, until `take` says that one
   * does not fit. What was taken counts as told.
   */
  fill(clusterSize: number, take: (node: NodeId, accuser: NodeId | undefined) => boolean): void {
    const transmitsMax = this.#config.retransmitFactor * Math.ceil(Math.log10(clusterSize + 1));
    const queue = [...this.#waiting.values()].reverse().sort((a, b) => a.transmits - b.transmits);
    for (const waiting of queue) {
      if (!take(waiting.node, waiting.accuser)) return;
      waiting.transmits++;
      if (waiting.transmits >= transmitsMax) this.#waiting.delete(waiting.node);
    }
  }

  #dropMostTold(): void {
    let most: Waiting | undefined;
    for (const waiting of this.#waiting.values()) {
      if (most === undefined || waiting.transmits > most.transmits) most = waiting;
    }
    if (most !== undefined) this.#waiting.delete(most.node);
  }
}
