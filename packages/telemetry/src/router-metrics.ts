/** Prometheus metrics of a router: what it resolved, whom it asked, and how much of the world its map has. */
import { Counter, Gauge, type Registry } from "prom-client";

export interface RouterSources {
  readonly apps: () => number;
  readonly quarantined: () => number;
  readonly watchers: () => number;
}

export class RouterMetrics {
  /** By result, each looked up once: this is counted more often than anything else. */
  readonly #resolutions = new Map<string, Counter.Internal>();
  readonly #resolutionsByResult: Counter<"result">;
  readonly #registry: Registry;
  readonly #asks: Counter<"outcome">;
  readonly #corrections: Counter;
  readonly #refusals: Counter<"reason">;

  constructor(registry: Registry, { apps, quarantined, watchers }: RouterSources) {
    this.#registry = registry;
    const registers = [registry];
    const resolutions = { name: "patina_resolutions_total", help: "Resolutions, by result." };
    this.#resolutionsByResult = new Counter({ ...resolutions, labelNames: ["result"], registers });
    const asks = { name: "patina_region_asks_total", help: "Questions to agents of regions, by what came of them." };
    this.#asks = new Counter({ ...asks, labelNames: ["outcome"], registers });
    const corrections = { name: "patina_corrections_total", help: "Routes that their regions denied." };
    this.#corrections = new Counter({ ...corrections, registers });
    const refusals = { name: "patina_publications_refused_total", help: "What borders sent and was refused, by code." };
    this.#refusals = new Counter({ ...refusals, labelNames: ["reason"], registers });
    const read = (name: string, help: string, value: () => number): void => {
      new Gauge({ name, help, registers, collect() { this.set(value()); } }); // prettier-ignore
    };
    read("patina_map_apps", "Apps in the router's map.", apps);
    read("patina_map_quarantined_rows", "Rows of the global tier that are kept out of the map.", quarantined);
    read("patina_watchers", "Placement watches that are open.", watchers);
  }

  /** Regions by how old what is known of each is. */
  watchRegions(count: () => Readonly<Record<"fresh" | "stale" | "expired", number>>): void {
    const help = "Regions that publish, by the age of the last heartbeat.";
    const registers = [this.#registry];
    new Gauge({ name: "patina_regions", help, labelNames: ["grade"], registers, collect() {
      for (const [grade, regions] of Object.entries(count())) this.set({ grade }, regions);
    } }); // prettier-ignore
  }

  onResolved(result: string, corrections: number): void {
    const counter = this.#resolutions.get(result) ?? this.#resolutionsByResult.labels(result);
    this.#resolutions.set(result, counter);
    counter.inc();
    if (corrections > 0) this.#corrections.inc(corrections);
  }

  onAsk(outcome: string): void {
    this.#asks.inc({ outcome });
  }

  onRefused(code: string): void {
    this.#refusals.inc({ reason: code });
  }
}
