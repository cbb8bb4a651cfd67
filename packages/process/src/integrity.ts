/** What is wrong with this agent's copy, asked of its store and its maintenance thread. */
import type { IntegrityPort } from "@patina/api";
import { AppError } from "@patina/base";
import type { AgentRuntime, Maintenance } from "@patina/runtime";

export class Integrity implements IntegrityPort {
  readonly #runtime: AgentRuntime;
  readonly #maintenance: Maintenance;
  #isScrubbing = false;

  constructor(runtime: AgentRuntime, maintenance: Maintenance) {
    this.#runtime = runtime;
    this.#maintenance = maintenance;
  }

  quarantined(...page: Parameters<IntegrityPort["quarantined"]>): ReturnType<IntegrityPort["quarantined"]> {
    return this.#runtime.store.quarantined(...page);
  }

  async retryQuarantined(): ReturnType<IntegrityPort["retryQuarantined"]> {
    return this.#runtime.retryQuarantined();
  }

  /** One at a time: it reads the whole file, and keeps the write-ahead log from being cut meanwhile. */
  async scrub(): ReturnType<IntegrityPort["scrub"]> {
    if (this.#isScrubbing) {
      throw new AppError("too-many", "this agent is scrubbing already", { hint: "Wait for it, and ask again." });
    }
    this.#isScrubbing = true;
    try {
      return await this.#maintenance.scrub();
    } finally {
      this.#isScrubbing = false;
    }
  }
}
