/**
 * The probe: one member at a time, once per interval.
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
  readonly seq: number;
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
  #pending: Pending | undefined;

  constructor(config: MembershipConfig, roster: Roster, health: LocalHealth, outbox: Outbox, rng: Rng) {
    this.#config = config;
    this.#roster = roster;
    this.#health = health;
    this.#outbox = outbox;
    this.#rota = new Rota(rng.fork());
    this.#rng = rng;
  }

  /** Ends the round, if one runs, and returns its target if that was silent. */
  conclude(): Member | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || pending.answered) return undefined;
    const { helpers, nacked } = pending;
    this.#health.probeFailed(helpers.length === 0 ? 1 : helpers.length - nacked.size);
    return pending.target;
  }

  /** Begins the next round, and schedules its end. `accuserOf` tells a suspect who suspects it. */
  begin(now: Now, accuserOf: (node: NodeId) => NodeId | undefined): void {
    this.#outbox.arm("probe", this.#config.probeIntervalMs * (1 + this.#health.score), now);
    const target = this.#rota.next(this.#roster.present());
    if (target === undefined) return;
    const seq = this.#outbox.ping(target.nodeId, target.address, now, accuserOf(target.nodeId));
    this.#pending = { seq, target, startedMs: now.monotonicMs, nacked: new Set(), helpers: [], answered: false };
    const { directTimeoutMinMs, directTimeoutMaxMs } = this.#config;
    const timeoutMs = this.#roster.get(target.nodeId)?.rtt.timeoutMs(directTimeoutMinMs, directTimeoutMaxMs);
    const atMs = now.monotonicMs + (timeoutMs ?? directTimeoutMaxMs);
    this.#outbox.wake({ kind: "direct", atMs, seq }, now);
  }

  /** The direct ack is overdue: others may have a path that we have not. */
  escalate(seq: number, now: Now): void {
    const pending = this.#pending;
    if (pending === undefined || pending.seq !== seq || pending.answered || pending.helpers.length > 0) return;
    const { nodeId: target, address } = pending.target;
    const candidates = this.#roster.present().filter(({ nodeId, state }) => state === "alive" && nodeId !== target);
    const helpers = this.#rng.shuffle(candidates).slice(0, this.#config.helpersMax);
    pending.helpers = helpers.map(({ nodeId }) => nodeId);
    for (const helper of helpers) {
      this.#outbox.send(helper.address, [{ kind: "ping-request", seq, target, address }], now);
    }
  }

  /** A direct ack. Late and foreign ones are normal on UDP. */
  onAck(sender: NodeId, seq: number, now: Now): void {
    const pending = this.#pending;
    if (pending?.seq !== seq || pending.target.nodeId !== sender) return;
    this.#roster.get(sender)?.rtt.sample(now.monotonicMs - pending.startedMs);
    this.onSignOfLife(sender);
  }

  onRelayedAck(target: NodeId, seq: number): void {
    if (this.#pending?.seq === seq) this.onSignOfLife(target);
  }

  onNack(helper: NodeId, seq: number): void {
    if (this.#pending?.seq === seq && this.#pending.helpers.includes(helper)) this.#pending.nacked.add(helper);
  }

  /** Anything authentic from the node proves as much as an ack. */
  onSignOfLife(node: NodeId): void {
    if (this.#pending === undefined || this.#pending.target.nodeId !== node || this.#pending.answered) return;
    this.#pending.answered = true;
    this.#health.probeAnswered();
  }

  /** We stalled: that we heard nothing proves nothing. */
  void(): void {
    this.#pending = undefined;
  }
}
