/**
 * What is remembered of those whose datagrams were authentic: their latest boot, its replay window and its keys. Nobody
 * gets in by claiming to be somebody, and the one unheard for longest goes when it is full.
 */
import type { KeyObject } from "node:crypto";
import type { NodeId } from "@patina/base";
import { ReplayWindow } from "./replay-window.js";

export interface Sender {
  readonly boot: number;
  readonly window: ReplayWindow;
  /** By epoch; as many as the keyring has. */
  readonly keys: Map<number, KeyObject>;
}

export class Senders {
  readonly #max: number;
  readonly #byNode = new Map<NodeId, Sender>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byNode.size;
  }

  get(node: NodeId): Sender | undefined {
    return this.#byNode.get(node);
  }

  /** One more authentic datagram. A later boot starts over: its counters have nothing to do with those before. */
  heard(node: NodeId, boot: number, counter: number, epoch: number, key: KeyObject): void {
    const known = this.#byNode.get(node);
    const sender = known?.boot === boot ? known : { boot, window: new ReplayWindow(), keys: new Map() };
    sender.keys.set(epoch, key);
    sender.window.accept(counter);
    this.#byNode.delete(node); // And back in as the latest: a Map keeps the order.
    this.#byNode.set(node, sender);
    if (this.#byNode.size <= this.#max) return;
    const [oldest] = this.#byNode.keys();
    if (oldest !== undefined) this.#byNode.delete(oldest);
  }

  /** The keyring changed. The windows stay: a counter goes on over a change of keys. */
  forgetKeys(): void {
    for (const { keys } of this.#byNode.values()) keys.clear();
  }
}
