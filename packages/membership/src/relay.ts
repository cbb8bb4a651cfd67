/** Probes run for others: ping the target they cannot reach, and tell them either way. */
import type { NodeId, Now } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import type { Outbox } from "./outbox.js";
import type { Roster } from "./roster.js";

interface Relay {
  readonly target: NodeId;
  readonly asker: string;
  readonly askerSeq: number;
}

export interface PingRequest {
  readonly seq: number;
  readonly target: NodeId;
  readonly address: string;
}

export class Relays {
  readonly #config: MembershipConfig;
  readonly #roster: Roster;
  readonly #outbox: Outbox;
  readonly #relays = new Map<number, Relay>();

  constructor(config: MembershipConfig, roster: Roster, outbox: Outbox) {
    this.#config = config;
    this.#roster = roster;
    this.#outbox = outbox;
  }

  /** Probes for the member at `asker`. Dropped when `relaysMax` are running, or when the target is ourselves. */
  ask(asker: string, { seq, target, address }: PingRequest, now: Now): void {
    if (this.#relays.size >= this.#config.relaysMax || target === this.#roster.self.nodeId) return;
    const ownSeq = this.#outbox.ping(target, address, now);
    this.#relays.set(ownSeq, { target, asker, askerSeq: seq });
    const { directTimeoutMinMs, relayTimeoutMaxMs } = this.#config;
    const timeoutMs = this.#roster.get(target)?.rtt.timeoutMs(directTimeoutMinMs, relayTimeoutMaxMs);
    const atMs = now.monotonicMs + (timeoutMs ?? relayTimeoutMaxMs);
    this.#outbox.wake({ kind: "relay", atMs, seq: ownSeq }, now);
  }

  onAck(sender: NodeId, seq: number, now: Now): void {
    const relay = this.#relays.get(seq);
    if (relay === undefined || relay.target !== sender) return;
    this.#relays.delete(seq);
    const { askerSeq, asker, target } = relay;
    this.#outbox.send(asker, [{ kind: "relayed-ack", seq: askerSeq, target }], now);
  }

  onTimeout(seq: number, now: Now): void {
    const relay = this.#relays.get(seq);
    if (!this.#relays.delete(seq) || relay === undefined) return;
    this.#outbox.send(relay.asker, [{ kind: "nack", seq: relay.askerSeq }], now);
  }

  /** We stalled: a nack would claim that we listened. */
  void(): void {
    this.#relays.clear();
  }
}
