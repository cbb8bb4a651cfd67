/**
 * Whose turn it is to be probed: everybody once per cycle, in a fresh random order each. SWIM section 4.3: this bounds the
 * time until a crash is noticed, where random choice only bounds its mean.
 */
import type { NodeId, Rng } from "@patina/base";
import type { Member } from "./member.js";

export class Rota {
  readonly #rng: Rng;
  #order: NodeId[] = [];
  #next = 0;
  #inCycle = new Set<NodeId>();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** The next of those present, or undefined of none. */
  next(present: readonly Member[]): Member | undefined {
    if (present.length === 0) return undefined;
    const byNode = new Map(present.map((member) => [member.nodeId, member]));
    this.#admit(present);
    while (this.#next < this.#order.length) {
      const member = byNode.get(this.#order[this.#next++] ?? "");
      if (member !== undefined) return member;
    }
    this.#order = this.#rng.shuffle(present).map(({ nodeId }) => nodeId);
    this.#inCycle = new Set(this.#order);
    this.#next = 1;
    return byNode.get(this.#order[0] ?? "");
  }

  /** A newcomer takes a random turn of those left, so that not everybody probes it last. */
  #admit(present: readonly Member[]): void {
    for (const { nodeId } of present) {
      if (this.#inCycle.has(nodeId)) continue;
      this.#inCycle.add(nodeId);
      this.#order.splice(this.#next + this.#rng.below(this.#order.length - this.#next + 1), 0, nodeId);
    }
  }
}
