/** The rows of the index as this agent's database has them: what the map is built from. */
import type { SqlValue } from "@patina/base";
import type { PageEnd, PlacementsPage, RibRows, StoredPlacement, StoredRegion } from "@patina/router";
import { decodeKey, type SqliteStore } from "@patina/store";

const WITHDRAWN = "SELECT key, epoch, hlc FROM _patina_tombstones WHERE tbl = 'placements'";

/** A row that is no more, and whose stamp still outranks what is older. */
export interface WithdrawnRow {
  readonly app: string;
  readonly epoch: SqlValue;
  readonly hlc: SqlValue;
}

/** The placements' own clock is the region's: its generation and high-water. */
const CLOCK = `_patina_epoch, _patina_hlc, (SELECT origin FROM _patina_origins WHERE idx = _patina_origin)`;
const PLACEMENTS = `SELECT app, region, class, ${CLOCK} FROM _patina_rows_placements`;
const REGIONS = `SELECT region, generation, heartbeat_ms, apis, location, apps, ${CLOCK} FROM _patina_rows_regions`;

/** Names of regions that are kept; there are dozens, and a flood of others is not let in. */
const NAMES_MAX = 1000;

export class StoreRows implements RibRows {
  readonly #store: SqliteStore;
  /** Millions of rows name a few regions: each name is held once. */
  readonly #names = new Map<SqlValue, string>();

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  placements(app: string): readonly StoredPlacement[] {
    return this.#store.read(`${PLACEMENTS} WHERE app = ? ORDER BY region`, [app]).map(this.#placementOf);
  }

  placementsPage(after: PageEnd | undefined, appsMax: number): PlacementsPage {
    const from = after === undefined ? { sql: "TRUE", params: [] } : bound(">", after);
    const apps = `SELECT DISTINCT app FROM _patina_rows_placements WHERE ${from.sql} ORDER BY app LIMIT ${appsMax}`;
    const lastApp = `SELECT typeof(app) = 'text', CAST(app AS BLOB) FROM (${apps}) ORDER BY app DESC LIMIT 1`;
    const [last] = this.#store.read(lastApp, from.params);
    if (last === undefined) return { rows: [], next: undefined };
    const [isText, name = null] = last;
    const next = { name, isText: isText === 1n };
    const to = bound("<=", next);
    const page = `${PLACEMENTS} WHERE ${from.sql} AND ${to.sql} ORDER BY app, region`;
    return { rows: this.#store.read(page, [...from.params, ...to.params]).map(this.#placementOf), next };
  }

  /** A region's rows of the next apps after this one, in the order of app; of the first ones without it. */
  placementsOf(region: string, after: string | undefined, rowsMax: number): readonly StoredPlacement[] {
    const page = `WHERE region = ? AND app ${after === undefined ? ">=" : ">"} ? ORDER BY app LIMIT ?`;
    return this.#store.read(`${PLACEMENTS} ${page}`, [region, after ?? "", BigInt(rowsMax)]).map(this.#placementOf);
  }

  /** The region's rows that were withdrawn and are not forgotten yet. */
  withdrawn(region: string): readonly WithdrawnRow[] {
    return this.#store.read(WITHDRAWN).flatMap(([key, epoch = null, hlc = null]) => {
      if (!(key instanceof Uint8Array)) return [];
      const [app, of] = decodeKey(key, key.length);
      return of === region ? [{ app: String(app), epoch, hlc }] : [];
    });
  }

  regions(region?: string): readonly StoredRegion[] {
    const rows =
      region === undefined
        ? this.#store.read(`${REGIONS} ORDER BY region`)
        : this.#store.read(`${REGIONS} WHERE region = ?`, [region]);
    return rows.map(regionOf);
  }

  readonly #placementOf = ([app, region = null, cls, epoch, hlc, origin]: readonly SqlValue[]): StoredPlacement => {
    return { app, region: this.#nameOf(region), class: cls, epoch, hlc, origin } as StoredPlacement;
  };

  #nameOf(region: SqlValue): SqlValue {
    const known = this.#names.get(region);
    if (known !== undefined) return known;
    if (typeof region === "string" && this.#names.size < NAMES_MAX) this.#names.set(region, region);
    return region;
  }
}

/** By the name's bytes: text that is no UTF-8 would come back as another name, and its page never be passed. */
function bound(comparison: ">" | "<=", { name, isText }: PageEnd): { sql: string; params: SqlValue[] } {
  return { sql: `app ${comparison} ${isText ? "CAST(? AS TEXT)" : "?"}`, params: [name] };
}

function regionOf(row: readonly SqlValue[]): StoredRegion {
  const [region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin] = row;
  return { region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin } as StoredRegion;
}
