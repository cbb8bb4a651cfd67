/** The border's way to the global agents: sends its rows and heartbeats, reads what the index has of the region. Decides nothing. */
import { PatinaClient, type Sign } from "@patina/api";
import { must } from "@patina/base";
import type { Heartbeat, IndexedRow, Standing, SummaryRow } from "@patina/summary";
import type { PlacementClass } from "./detail.js";
import { BORDER } from "./tier.js";

export interface GlobalClientOptions {
  /** In the region's order of preference: agents go by their number in it. */
  readonly apis: readonly string[];
  readonly region: string;
  readonly generation: number;
  /** Where the region is, for callers who want the nearest. */
  readonly location: { readonly lat: number; readonly lon: number } | undefined;
  readonly sign: Sign;
}

interface IndexPage {
  readonly rows: readonly WireRow[];
  readonly withdrawn?: readonly WireRow[];
  readonly next: string | null;
}

interface WireRow {
  readonly app: string;
  /** None when it was withdrawn. */
  readonly class?: PlacementClass;
  readonly generation: number;
  readonly high_water: string;
}

interface WireRegion {
  readonly region: string;
  readonly generation: number;
  readonly ageMs: number;
  readonly apis: readonly string[];
}

export class GlobalClient {
  readonly #options: GlobalClientOptions;
  readonly #clients: readonly PatinaClient[];

  constructor(options: GlobalClientOptions) {
    this.#options = options;
    this.#clients = options.apis.map(
      (api) => new PatinaClient(api, { timeoutMs: BORDER.answerMs, sign: options.sign }),
    );
  }

  get count(): number {
    return this.#clients.length;
  }

  /** Each throws what the global agent said, and `agent-unreachable` when it said nothing in time. */
  async publish(to: number, rows: readonly SummaryRow[]): Promise<void> {
    const { region, generation } = this.#options;
    const body = {
      region,
      generation,
      rows: rows.map(({ app, class: cls, highWater }) => ({ app, class: cls ?? null, high_water: String(highWater) })),
    };
    await this.#client(to).request("/v1/placements", { method: "POST", body });
  }

  async heartbeat(to: number, { highWater, ...beat }: Heartbeat): Promise<void> {
    const { region, generation, location = null } = this.#options;
    const body = { generation, high_water: String(highWater), ...beat, location };
    await this.#client(to).request(`/v1/regions/${region}`, { method: "POST", body });
  }

  /** What is known there of this generation of the region; undefined before its first heartbeat. */
  async readStanding(to: number): Promise<Standing | undefined> {
    const { region, generation } = this.#options;
    const { regions } = await this.#client(to).request<{ regions: readonly WireRegion[] }>("/v1/regions");
    const known = regions.find((each) => each.region === region);
    if (known === undefined || known.generation < generation) return undefined;
    return { ageMs: known.ageMs, by: known.apis[0] ?? "" };
  }

  /** Page by page, while both sides go on: what changes meanwhile may be in it as it was or as it is. */
  async readIndex(to: number): Promise<IndexedRow[]> {
    const client = this.#client(to);
    const read: WireRow[] = [];
    for (let after: string | null | undefined = undefined; after !== null;) {
      const from: string = after === undefined ? "&withdrawn=true" : `&after=${encodeURIComponent(after)}`;
      const path = `/v1/placements?region=${this.#options.region}${from}`;
      const { rows, withdrawn = [], next }: IndexPage = await client.request<IndexPage>(path);
      read.push(...withdrawn, ...rows);
      after = next;
    }
    return read.map(({ app, class: cls, generation, high_water: highWater }) => {
      return { app, class: cls, generation, highWater: BigInt(highWater) };
    });
  }

  #client(to: number): PatinaClient {
    return must(this.#clients[to], "a global agent");
  }
}
