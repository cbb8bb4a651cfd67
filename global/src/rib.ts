/**
 * The tables of the global tier as the router needs them: the map it resolves from, kept current row by row, and the
 * regions' heartbeats. It is built from the local database alone, so it is there before any network is.
 */
import { type ChangedRow, must, type SqlValue } from "@patina/base";
import { Fib, type RegionState, type Route } from "@patina/router";
import type { SqliteStore } from "@patina/store";
import { z } from "zod";

/** The placements' own clock is the region's: its generation and high-water. */
const ROUTES = `SELECT app, region, class, _patina_epoch, _patina_hlc FROM _patina_rows_placements`;
const REGIONS = "SELECT region, generation, heartbeat_ms, apis FROM regions";

export class Rib {
  readonly fib = new Fib();
  readonly regions = new Map<string, RegionState>();
  readonly #store: SqliteStore;

  constructor(store: SqliteStore) {
    this.#store = store;
    const routes = new Map<string, Route[]>();
    for (const row of store.read(`${ROUTES} ORDER BY app, region`)) {
      const app = String(row[0]);
      const known = routes.get(app);
      if (known === undefined) routes.set(app, [routeOf(row)]);
      else known.push(routeOf(row));
    }
    for (const [app, list] of routes) this.fib.set(app, list);
    for (const row of store.read(REGIONS)) this.#setRegion(row);
  }

  /** Follows committed rows. */
  onChanged(rows: readonly ChangedRow[]): void {
    const apps = new Set<string>();
    for (const { table, key } of rows) {
      const name = String(must(key[0], "a key"));
      if (table === "placements") apps.add(name);
      else if (table === "regions") this.#reloadRegion(name);
    }
    for (const app of apps) {
      this.fib.set(app, this.#store.read(`${ROUTES} WHERE app = ? ORDER BY region`, [app]).map(routeOf));
    }
  }

  #reloadRegion(region: string): void {
    const [row] = this.#store.read(`${REGIONS} WHERE region = ?`, [region]);
    if (row === undefined) this.regions.delete(region);
    else this.#setRegion(row);
  }

  /** A row that makes no sense changes nothing: the last good one stays in service. */
  #setRegion(row: SqlValue[]): void {
    const state = regionOf(row);
    if (state !== undefined) this.regions.set(state.region, state);
  }
}

const apisSchema = z.array(z.url()).max(64);

/** A region's heartbeat row, or undefined when it is not one: anybody in the cluster may have written it. */
function regionOf([name, generation, heartbeatMs, apis]: SqlValue[]): RegionState | undefined {
  const parsed = apisSchema.safeParse(jsonOf(String(apis)));
  const numbers = [Number(generation), Number(heartbeatMs)] as const;
  if (!parsed.success || !numbers.every(Number.isSafeInteger)) return undefined;
  return { region: String(name), generation: numbers[0], heartbeatMs: numbers[1], apis: parsed.data };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function routeOf([, region, cls, epoch, hlc]: SqlValue[]): Route {
  return {
    region: String(region),
    class: cls === "serving" ? "serving" : "standby",
    generation: Number(epoch),
    highWater: hlc as bigint,
  };
}
