/**
 * Whether this copy falls behind: versions it knows of and lacks, for longer than anti-entropy needs to bring them; others that
 * are up, and none that it can be compared with; or a start that others do not believe, since it is numbered ahead of the clock.
 */
import type { Now } from "@patina/base";
import { defaultMembershipConfig } from "@patina/membership";
import { type AgentRuntime, systemNow } from "@patina/runtime";
import type { SqliteStore } from "@patina/store";

const LOOK_EVERY_MS = 1000;
/** A dozen rounds of anti-entropy. A copy that has not caught up by then says that it is not to be relied on. */
const BEHIND_MAX_MS = 15_000;

/** Streams are dialed anew within seconds; without one for longer, nothing that the others write arrives. */
const CUT_OFF_MAX_MS = 60_000;

export interface LagOptions {
  readonly store: Pick<SqliteStore, "holdings">;
  /** Other members that are up, and those of them with an open stream. */
  readonly peers: () => { readonly up: number; readonly reachable: number };
  /** The number of this start: the clock's, or above that of the start before, whose clock may have been ahead. */
  readonly boot: number;
  /** There are others to join. */
  readonly hasSeeds: boolean;
  readonly now: () => Now;
}

export class Lag {
  readonly #options: LagOptions;
  readonly #looking: NodeJS.Timeout;
  #behindSinceMs: number | undefined;
  #cutOffSinceMs: number | undefined;
  #gaps = 0;
  #up = 0;

  constructor(options: LagOptions) {
    this.#options = options;
    this.#looking = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Empty while the copy keeps up. */
  reasons(): readonly string[] {
    const { monotonicMs: nowMs } = this.#options.now();
    const [behindMs, cutOffMs] = [nowMs - (this.#behindSinceMs ?? nowMs), nowMs - (this.#cutOffSinceMs ?? nowMs)];
    const behind = `behind for ${Math.round(behindMs / 1000)} s: it lacks ${this.#gaps} versions`;
    const cutOff = `cut off for ${Math.round(cutOffMs / 1000)} s: it sees ${this.#up} members, and has a stream to none`;
    return [
      ...(behindMs < BEHIND_MAX_MS ? [] : [behind]),
      ...(cutOffMs < CUT_OFF_MAX_MS ? [] : [cutOff]),
      ...this.#unbelieved(),
    ];
  }

  /** Others take no datagram of a start that is ahead of their clocks, and so nobody can be heard of. */
  #unbelieved(): string[] {
    const { boot, hasSeeds, now } = this.#options;
    const aheadMs = boot - now().wallMs;
    if (!hasSeeds || this.#up > 0 || aheadMs <= defaultMembershipConfig.bootAheadMs) return [];
    const ahead = `refused by others: its start is numbered ${Math.round(aheadMs / 1000)} s ahead of the clock`;
    return [
      `${ahead}. Correct the clock; if it was wrong at an earlier start, stop the agent and set boot in node.json to the time in ms`,
    ];
  }

  close(): void {
    clearInterval(this.#looking);
  }

  /** Done by itself every second. */
  look(): void {
    const { store, peers, now } = this.#options;
    const { monotonicMs } = now();
    this.#gaps = 0;
    for (const [, holding] of store.holdings()) this.#gaps += holding.gaps.size;
    this.#behindSinceMs = this.#gaps === 0 ? undefined : (this.#behindSinceMs ?? monotonicMs);
    const { up, reachable } = peers();
    this.#up = up;
    this.#cutOffSinceMs = up === 0 || reachable > 0 ? undefined : (this.#cutOffSinceMs ?? monotonicMs);
  }
}

/** Of an agent that runs. */
export function watchLag(
  store: LagOptions["store"],
  runtime: Pick<AgentRuntime, "members" | "agent">,
  start: Pick<LagOptions, "boot" | "hasSeeds">,
): Lag {
  const peers = (): ReturnType<LagOptions["peers"]> => {
    const up = runtime.members().filter(({ state }) => state === "alive").length;
    return { up, reachable: runtime.agent.reachable().length };
  };
  return new Lag({ ...start, store, peers, now: systemNow });
}
