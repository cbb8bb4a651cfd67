/**
 * Who may be given work for others: relaying, serving those that are behind. A member whose own thread lags answers probes
 * all the same, for its membership has a thread to itself, and one that dies and returns again and again is alive most of
 * the time. Neither is accused of anything; both are merely not relied upon.
 */
import type { NodeId, Now } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import type { Outbox } from "./outbox.js";

interface Record {
  isLagging: boolean;
  /** When it came back from the dead, within the last `flapWindowMs`. */
  returnsMs: number[];
  isFit: boolean;
}

export class Fitness {
  readonly #config: MembershipConfig;
  readonly #outbox: Outbox;
  /** Only of those that ever gave reason. */
  readonly #records = new Map<NodeId, Record>();

  constructor(config: MembershipConfig, outbox: Outbox) {
    this.#config = config;
    this.#outbox = outbox;
  }

  noteLag(node: NodeId, lagMs: number, now: Now): void {
    const isLagging = lagMs > this.#config.lagMaxMs;
    if (!isLagging && !this.#records.has(node)) return;
    const record = this.#record(node);
    record.isLagging = isLagging;
    this.#judge(node, record, now);
  }

  /** The node was dead, or had left, and is back. */
  noteReturn(node: NodeId, now: Now): void {
    const record = this.#record(node);
    record.returnsMs.push(now.monotonicMs);
    this.#judge(node, record, now);
  }

  /** Time alone makes a flapper fit again: called now and then. */
  review(now: Now): void {
    for (const [node, record] of this.#records) {
      this.#judge(node, record, now);
      if (record.isFit && record.returnsMs.length === 0) this.#records.delete(node);
    }
  }

  forget(node: NodeId): void {
    this.#records.delete(node);
  }

  #record(node: NodeId): Record {
    let record = this.#records.get(node);
    if (record === undefined) this.#records.set(node, (record = { isLagging: false, returnsMs: [], isFit: true }));
    return record;
  }

  #judge(node: NodeId, record: Record, now: Now): void {
    const { flapWindowMs, flapsMax } = this.#config;
    // The last few are enough to judge by, and a node that flaps for ever must not grow a list for ever.
    record.returnsMs = record.returnsMs.filter((ms) => now.monotonicMs - ms < flapWindowMs).slice(-flapsMax - 1);
    const isFit = !record.isLagging && record.returnsMs.length <= flapsMax;
    if (isFit === record.isFit) return;
    record.isFit = isFit;
    this.#outbox.fitness(node, isFit);
  }
}
