/**
 * Whether this copy falls behind: versions it knows of and lacks, for longer than anti-entropy needs to bring them; or others that
 * are up, and none that it can be compared with.
 */
import type { AgentRuntime } from "@patina/runtime";
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
  readonly monotonicMs: () => number;
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
    const nowMs = this.#options.monotonicMs();
    const [behindMs, cutOffMs] = [nowMs - (this.#behindSinceMs ?? nowMs), nowMs - (this.#cutOffSinceMs ?? nowMs)];
    const behind = `behind for ${Math.round(behindMs / 1000)} s: it lacks ${this.#gaps} versions`;
    const cutOff = `cut off for ${Math.round(cutOffMs / 1000)} s: it sees ${this.#up} members, and has a stream to none`;
    return [...(behindMs < BEHIND_MAX_MS ? [] : [behind]), ...(cutOffMs < CUT_OFF_MAX_MS ? [] : [cutOff])];
  }

  close(): void {
    clearInterval(this.#looking);
  }

  /** Done by itself every second. */
  look(): void {
    const { store, peers, monotonicMs } = this.#options;
    this.#gaps = 0;
    for (const [, holding] of store.holdings()) this.#gaps += holding.gaps.size;
    this.#behindSinceMs = this.#gaps === 0 ? undefined : (this.#behindSinceMs ?? monotonicMs());
    const { up, reachable } = peers();
    this.#up = up;
    this.#cutOffSinceMs = up === 0 || reachable > 0 ? undefined : (this.#cutOffSinceMs ?? monotonicMs());
  }
}

/** As the runtime knows them. */
export function peersOf(runtime: Pick<AgentRuntime, "members" | "agent">): ReturnType<LagOptions["peers"]> {
  const up = runtime.members().filter(({ state }) => state === "alive").length;
  return { up, reachable: runtime.agent.reachable().length };
}
