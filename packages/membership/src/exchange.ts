/**
 * Rosters compared and exchanged. Rumours are sent a bounded number of times and may miss somebody for good; every ack
 * carries a hash of the roster, and where two differ both sides tell all they know. So membership converges even if no
 * rumour ever arrives.
 */
import type { Now, Rng } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import type { Member } from "./member.js";
import type { Message } from "./message.js";
import type { Outbox } from "./outbox.js";
import type { Roster } from "./roster.js";

export class Exchange {
  readonly #config: MembershipConfig;
  readonly #roster: Roster;
  readonly #outbox: Outbox;
  readonly #rng: Rng;
  #lastMs = -Infinity;

  constructor(config: MembershipConfig, roster: Roster, outbox: Outbox, rng: Rng) {
    this.#config = config;
    this.#roster = roster;
    this.#outbox = outbox;
    this.#rng = rng;
  }

  /** A peer's hash came with its ack. While rumours are under way a difference is expected, and waited out for a time. */
  compare(peer: Member, rosterHash: number, now: Now): void {
    const { exchangeAnywayMs, exchangeIntervalMs } = this.#config;
    if (rosterHash === this.#roster.hash) return;
    if (this.#outbox.hasRumours && now.monotonicMs - this.#lastMs < exchangeAnywayMs) return;
    if (!this.#roster.may("exchange", peer.nodeId, exchangeIntervalMs, now)) return;
    this.#lastMs = now.monotonicMs;
    this.#tell(peer.address, [{ kind: "roster-request" }], now);
  }

  /** Ignored when asked too often, or by a node for which the roster has no room. */
  answer(peer: Member, now: Now): void {
    if (this.#roster.may("roster", peer.nodeId, this.#config.rosterIntervalMs, now)) this.#tell(peer.address, [], now);
  }

  #tell(to: string, first: readonly Message[], now: Now): void {
    const count = this.#roster.size;
    this.#outbox.sendRoster(to, count === 0 ? 0 : this.#rng.below(count), first, now);
  }
}
