/**
 * The probe: a few members at a time, once per interval.
 *
 *   idle ──round──► direct ──timeout──► indirect ──next round──► silent
 *                     │ ack, relayed ack, or any other sign of life │
 *                     └──────────────────────┴──────────────────────┴► answered
 *                     a stall of our own ──► void: no outcome at all
 *
 * SWIM section 3, with Lifeguard's nacks: a helper that did not reach the target either says so, and one that says
 * nothing makes us doubt ourselves. The verdict falls at the end of the interval, so a driver that reads its socket dry
 * before it delivers a wake never condemns a member whose answer is already in the kernel.
 */
import type { NodeId, Now, Rng } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import type { LocalHealth } from "./health.js";
import type { Member } from "./member.js";
import type { Outbox } from "./outbox.js";
import type { Roster } from "./roster.js";
import { Rota } from "./rota.js";

interface Pending {
  readonly target: Member;
  readonly startedMs: number;
  readonly nacked: Set<NodeId>;
  helpers: readonly NodeId[];
  answered: boolean;
}

export class Probe {
  readonly #config: MembershipConfig;
  readonly #roster: Roster;
  readonly #health: LocalHealth;
  readonly #outbox: Outbox;
  readonly #rota: Rota;
  readonly #rng: Rng;
  /** Of this round, by the number of its ping. */
  readonly #pending = new Map<number, Pending>();

  constructor(config: MembershipConfig, roster: Roster, health: LocalHealth, outbox: Outbox, rng: Rng) {
    this.#config = config;
    this.#roster = roster;
    this.#health = health;
    this.#outbox = outbox;
    this.#rota = new Rota(rng.fork());
    this.#rng = rng;
  }

  /** Ends the round, if one runs, and returns those of its targets that were silent. */
  conclude(): Member[] {
    const silent = [...this.#pending.values()].filter(({ answered }) => !answered);
    this.#pending.clear();
    for (const { helpers, nacked } of silent) {
      this.#health.probeFailed(helpers.length === 0 ? 1 : helpers.length - nacked.size);
    }
    return silent.map(({ target }) => target);
  }

  /** Begins the next round, and schedules its end. `accuserOf` tells a suspect who suspects it. */
  begin(now: Now, accuserOf: (node: NodeId) => NodeId | undefined): void {
    this.#outbox.arm("probe", this.#config.probeIntervalMs * (1 + this.#health.score), now);
    const present = this.#roster.present();
    for (let left = Math.min(this.#config.probesPerInterval, present.length); left > 0; left--) {
      const target = this.#rota.next(present);
      if (target !== undefined && this.#pendingOf(target.nodeId) === undefined) this.#ping(target, now, accuserOf);
    }
  }

  #ping(target: Member, now: Now, accuserOf: (node: NodeId) => NodeId | undefined): void {
    const seq = this.#outbox.ping(target.nodeId, target.address, now, accuserOf(target.nodeId));
    const startedMs = now.monotonicMs;
    this.#pending.set(seq, { target, startedMs, nacked: new Set(), helpers: [], answered: false });
    const { directTimeoutMinMs, directTimeoutMaxMs } = this.#config;
    const timeoutMs = this.#roster.get(target.nodeId)?.rtt.timeoutMs(directTimeoutMinMs, directTimeoutMaxMs);
    this.#outbox.wake({ kind: "direct", atMs: startedMs + (timeoutMs ?? directTimeoutMaxMs), seq }, now);
  }

  /** The direct ack is overdue: others may have a path that we have not. */
  escalate(seq: number, now: Now): void {
    const pending = this.#pending.get(seq);
    if (pending === undefined || pending.answered || pending.helpers.length > 0) return;
    const { nodeId: target, address } = pending.target;
    const others = this.#roster.present().filter(({ nodeId, state }) => state === "alive" && nodeId !== target);
    // One that owes us an answer itself may be as dead as the target: it helps where there is nobody else.
    const silent = new Set([...this.#pending.values()].flatMap((it) => (it.answered ? [] : [it.target.nodeId])));
    const rank = ({ nodeId }: Member): number => (silent.has(nodeId) ? 1 : 0);
    const byHope = this.#rng.shuffle(others).sort((a, b) => rank(a) - rank(b));
    const helpers = byHope.slice(0, this.#config.helpersMax);
    pending.helpers = helpers.map(({ nodeId }) => nodeId);
    for (const helper of helpers) {
      this.#outbox.send(helper.address, [{ kind: "ping-request", seq, target, address }], now);
    }
  }

  /** A direct ack. Late and foreign ones are normal on UDP. */
  onAck(sender: NodeId, seq: number, now: Now): void {
    const pending = this.#pending.get(seq);
    if (pending?.target.nodeId !== sender) return;
    this.#roster.get(sender)?.rtt.sample(now.monotonicMs - pending.startedMs);
    this.onSignOfLife(sender);
  }

  onRelayedAck(target: NodeId, seq: number): void {
    if (this.#pending.get(seq)?.target.nodeId === target) this.onSignOfLife(target);
  }

  onNack(helper: NodeId, seq: number): void {
    const pending = this.#pending.get(seq);
    if (pending?.helpers.includes(helper)) pending.nacked.add(helper);
  }

  /** Anything authentic from the node proves as much as an ack. */
  onSignOfLife(node: NodeId): void {
    const pending = this.#pendingOf(node);
    if (pending === undefined || pending.answered) return;
    pending.answered = true;
    this.#health.probeAnswered();
  }

  /** We stalled: that we heard nothing proves nothing. */
  void(): void {
    this.#pending.clear();
  }

  #pendingOf(node: NodeId): Pending | undefined {
    return [...this.#pending.values()].find(({ target }) => target.nodeId === node);
  }
}
