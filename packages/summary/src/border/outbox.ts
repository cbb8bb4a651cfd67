/**
 * The border's rows on their way to the global tier. They wait by app, so that a row that changed again while the way was
 * cut is sent once, as it is now. One message is under way at a time; a failed one is tried again at the next global agent,
 * ever more slowly.
 *
 *   empty ──row──► sending ──answered──► sending the rest, or empty
 *                     └──failed──► waiting for the retry ──► sending
 */
import type { Hlc } from "@patina/base";
import type { PlacementClass } from "../summary.js";
import type { BorderConfig } from "./config.js";

export interface SummaryRow {
  readonly app: string;
  /** Undefined withdraws the row. */
  readonly class: PlacementClass | undefined;
  readonly highWater: Hlc;
}

export type OutboxEffect =
  /** To the global agent of this number, in the region's order of preference. */
  | { readonly kind: "send"; readonly to: number; readonly rows: readonly SummaryRow[] }
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: { readonly kind: "retry" } };

export class Outbox {
  readonly #config: BorderConfig;
  readonly #globals: number;
  readonly #waiting = new Map<string, SummaryRow>();
  #underWay: { readonly to: number; readonly rows: readonly SummaryRow[] } | undefined;
  #isRetrying = false;
  #preferred = 0;
  #failures = 0;
  /** Rows that arrived. */
  rowsSent = 0;
  /** Rows of messages that nobody answered. */
  rowsUnanswered = 0;

  /** `globals`: how many global agents there are. With none, nothing is kept. */
  constructor(config: BorderConfig, globals: number) {
    this.#config = config;
    this.#globals = globals;
  }

  /** Rows that have not arrived: at most one an app, and so as many as the region may have. */
  get size(): number {
    return this.#waiting.size;
  }

  /** The global agent to turn to. */
  get preferred(): number {
    return this.#preferred;
  }

  offer(row: SummaryRow): void {
    if (this.#globals > 0) this.#waiting.set(row.app, row);
  }

  /** The next message, if one may go now. */
  flush(): OutboxEffect[] {
    if (this.#waiting.size === 0 || this.#underWay !== undefined || this.#isRetrying) return [];
    const rows = [...this.#waiting.values()].slice(0, this.#config.rowsPerPublish);
    this.#underWay = { to: this.#preferred, rows };
    return [{ kind: "send", to: this.#preferred, rows }];
  }

  onSent(): OutboxEffect[] {
    const rows = this.#underWay?.rows ?? [];
    this.#underWay = undefined;
    this.#failures = 0;
    this.rowsSent += rows.length;
    for (const row of rows) if (this.#waiting.get(row.app) === row) this.#waiting.delete(row.app);
    return this.flush();
  }

  onSendFailed(): OutboxEffect[] {
    if (this.#underWay === undefined) return [];
    this.onUnanswered(this.#underWay.to);
    this.rowsUnanswered += this.#underWay.rows.length;
    this.#underWay = undefined;
    this.#isRetrying = true;
    const { retryMinMs, retryMaxMs } = this.#config;
    const afterMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failures++, 10));
    return [{ kind: "wake", afterMs, timer: { kind: "retry" } }];
  }

  onRetry(): OutboxEffect[] {
    this.#isRetrying = false;
    return this.flush();
  }

  /** That global agent did not answer. Two failures at one agent pass on to the next once, or they would skip it. */
  onUnanswered(to: number): void {
    if (to === this.#preferred) this.#preferred = (this.#preferred + 1) % Math.max(1, this.#globals);
  }
}
