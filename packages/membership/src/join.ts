/**
 * Whom to call in order to be in the cluster, at the start and ever after: seeds that are no alive member, and members
 * remembered from before the restart. It never gives up, because a node that has lost everybody is found by nobody.
 */
import type { Rng } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import { isGone, type Member } from "./member.js";
import type { Roster } from "./roster.js";

export class Contacts {
  readonly #config: MembershipConfig;
  readonly #seeds: readonly string[];
  readonly #remembered: readonly Member[];
  readonly #rng: Rng;
  #backoffMs: number;
  #turn = 0;

  constructor(config: MembershipConfig, seeds: readonly string[], remembered: readonly Member[], rng: Rng) {
    this.#config = config;
    this.#seeds = seeds;
    this.#remembered = remembered.filter((member) => !isGone(member)).slice(0, config.membersMax);
    this.#rng = rng;
    this.#backoffMs = config.joinBackoffMinMs;
  }

  /** Addresses to call now: at most `joinFanout`, each missing one in its turn. */
  next(roster: Roster): string[] {
    const present = new Set(roster.present().map(({ address }) => address));
    present.add(roster.self.address);
    const strangers = this.#remembered.filter(({ nodeId }) => roster.get(nodeId) === undefined);
    const wanted = new Set([...this.#seeds, ...strangers.map(({ address }) => address)]);
    const missing = [...wanted].filter((address) => !present.has(address));
    if (missing.length === 0) {
      this.#backoffMs = this.#config.joinBackoffMinMs;
      return [];
    }
    this.#turn %= missing.length;
    const chosen = [...missing.slice(this.#turn), ...missing.slice(0, this.#turn)].slice(0, this.#config.joinFanout);
    this.#turn += chosen.length;
    return chosen;
  }

  /** Until the next attempt: doubling up to the maximum, with jitter so that a restarted fleet does not call in step. */
  delayMs(): number {
    const delayMs = this.#backoffMs * this.#rng.between(0.75, 1);
    this.#backoffMs = Math.min(this.#config.joinBackoffMaxMs, this.#backoffMs * 2);
    return delayMs;
  }
}
