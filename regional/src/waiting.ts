/** Lets a reader wait until this agent holds a write that was made elsewhere in the region, for a bounded time. */
import { AppError, holds, type OriginId, originNode } from "@patina/base";
import type { AgentProcess } from "@patina/process";
import { systemNow } from "@patina/runtime";

/** One write, as `/v1/transactions` names it: `<actor_id>:<version>`. */
export interface Token {
  readonly origin: OriginId;
  readonly version: number;
}

/** Readers that wait at once; more are refused with `too-many`. */
const WAITERS_MAX = 1024;
/** How long one may wait, whatever it asks for. */
const WAIT_MS_MAX = 30_000;
/** A write takes some milliseconds to come round; looking is a look into a map. */
const LOOK_EVERY_MS = 4;

export class Waiting {
  readonly #process: AgentProcess;
  #waiters = 0;

  constructor(process: AgentProcess) {
    this.#process = process;
  }

  /**
   * True once the write is held; false at once when it was made in another region. Throws `not-ready` when time is up, and
   * `too-many`.
   */
  async until({ origin, version }: Token, withinMs: number): Promise<boolean> {
    if (!this.#isOurs(origin)) return false;
    if (this.#waiters >= WAITERS_MAX) {
      throw new AppError("too-many", `${WAITERS_MAX} readers are waiting`, { hint: "Ask another agent." });
    }
    const deadlineMs = systemNow().monotonicMs + Math.min(withinMs, WAIT_MS_MAX);
    this.#waiters++;
    try {
      while (!holds(this.#process.store.holdings().get(origin), version)) {
        if (systemNow().monotonicMs >= deadlineMs) throw notYet(origin, version);
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    } finally {
      this.#waiters--;
    }
    return true;
  }

  /** Its first write may not have arrived: then the member is known by its name. */
  #isOurs(origin: OriginId): boolean {
    const { store, runtime, nodeId } = this.#process;
    if (store.holdings().has(origin)) return true;
    const node = originNode(origin);
    return node === nodeId || runtime.members().some((member) => member.nodeId === node);
  }
}

/** Throws `bad-request` for what is not a token. */
export function parseToken(text: string): Token {
  const [, origin, version] = /^([0-9a-f]{48}):(\d{1,15})$/.exec(text) ?? [];
  if (origin !== undefined) return { origin, version: Number(version) };
  throw new AppError("bad-request", `wait=${text} names no write`, {
    hint: "Write ?wait=ACTOR_ID:VERSION with what /v1/transactions answered.",
  });
}

function notYet(origin: OriginId, version: number): AppError {
  return new AppError("not-ready", `version ${version} of ${origin} has not arrived here yet`, {
    hint: "Ask again, or another agent of the region.",
  });
}
