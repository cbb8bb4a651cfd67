/**
 * Carries the border's rows to the global tier. Rows wait by app, so that a row that changed again while the way was
 * cut is sent once, as it is now; a failed send is tried again at the next global agent, ever more slowly.
 */
import type { Hlc } from "@patina/base";
import type { PatinaClient } from "@patina/api";
import type { Logger } from "@patina/telemetry";
import type { PlacementClass } from "./detail.js";
import { BORDER } from "./tier.js";

export interface SummaryRow {
  readonly app: string;
  /** Undefined withdraws the row. */
  readonly class: PlacementClass | undefined;
  readonly highWater: Hlc;
}

export interface Heartbeat {
  readonly high_water: string;
  readonly apis: readonly string[];
  readonly agents: number;
  readonly apps: number;
  readonly location: { readonly lat: number; readonly lon: number } | null;
}

export interface PublisherOptions {
  /** Global agents, in the region's order of preference. */
  readonly clients: readonly PatinaClient[];
  readonly region: string;
  readonly generation: number;
  readonly log: Logger;
}

interface WireRow {
  readonly app: string;
  readonly class: PlacementClass;
  readonly generation: number;
  readonly high_water: string;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #waiting = new Map<string, SummaryRow>();
  #preferred = 0;
  #failures = 0;
  #isSending = false;
  #isStopped = false;
  #retry: NodeJS.Timeout | undefined;
  rowsSent = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  offer(row: SummaryRow): void {
    this.#waiting.set(row.app, row);
    if (this.#retry === undefined) void this.#send();
  }

  /** Best effort: the next one is never far. */
  heartbeat(heartbeat: Heartbeat): void {
    const { region, generation, log } = this.#options;
    this.#client()
      ?.request(`/v1/regions/${region}`, { method: "POST", body: { generation, ...heartbeat } })
      .catch((thrown: unknown) => {
        this.#preferNext();
        log.warn({ err: thrown }, "the heartbeat did not arrive");
      });
  }

  /** What the global tier holds for this region; undefined while rows are still waiting, since they would show as wrong. */
  async readIndex(): Promise<{ app: string; class: PlacementClass; highWater: Hlc }[] | undefined> {
    const client = this.#client();
    if (client === undefined || this.#waiting.size > 0) return undefined;
    const { rows } = await client.request<{ rows: WireRow[] }>(`/v1/placements?region=${this.#options.region}`);
    if (this.#waiting.size > 0) return undefined;
    return rows.map(({ app, class: cls, generation, high_water: highWater }) => {
      // A row of an older generation says nothing that this one would have to have heard of.
      return { app, class: cls, highWater: generation < this.#options.generation ? 0n : BigInt(highWater) };
    });
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.#isStopped) return;
    this.#isSending = true;
    try {
      while (this.#waiting.size > 0 && !this.#isStopped) await this.#sendSome();
      this.#failures = 0;
    } catch (thrown) {
      this.#options.log.warn({ err: thrown, waiting: this.#waiting.size }, "summary rows could not be published yet");
      this.#preferNext();
      this.#retryLater();
    } finally {
      this.#isSending = false;
    }
  }

  async #sendSome(): Promise<void> {
    const { region, generation } = this.#options;
    const client = this.#client();
    if (client === undefined) return this.#waiting.clear();
    const rows = [...this.#waiting.values()].slice(0, BORDER.rowsPerPublish);
    const body = {
      region,
      generation,
      rows: rows.map(({ app, class: cls, highWater }) => ({ app, class: cls ?? null, high_water: String(highWater) })),
    };
    await client.request("/v1/placements", { method: "POST", body });
    this.rowsSent += rows.length;
    for (const row of rows) if (this.#waiting.get(row.app) === row) this.#waiting.delete(row.app);
  }

  #retryLater(): void {
    const afterMs = Math.min(BORDER.retryMaxMs, BORDER.retryMinMs * 2 ** Math.min(this.#failures++, 10));
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#send();
    }, afterMs);
  }

  #client(): PatinaClient | undefined {
    const { clients } = this.#options;
    return clients[this.#preferred % Math.max(1, clients.length)];
  }

  #preferNext(): void {
    this.#preferred++;
  }
}
