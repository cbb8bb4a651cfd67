/** The rows of the index as this agent's database has them: what the map is built from. */
import type { SqlValue } from "@patina/base";
import type { RibRows, StoredPlacement, StoredRegion } from "@patina/router";
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

  placementsAfter(app: string | undefined, appsMax: number): readonly StoredPlacement[] {
    const [after, bound] = app === undefined ? ["app >= ''", []] : ["app > ?", [app, app]];
    const apps = `SELECT DISTINCT app FROM _patina_rows_placements WHERE ${after} ORDER BY app LIMIT ${appsMax}`;
    const page = `WHERE ${after} AND app <= (SELECT max(app) FROM (${apps})) ORDER BY app, region`;
    return this.#store.read(`${PLACEMENTS} ${page}`, bound).map(this.#placementOf);
  }

  /** A region's rows of the next apps after this one, in the order of app. */
  placementsOf(region: string, after: string | undefined, rowsMax: number): readonly StoredPlacement[] {
    const page = `WHERE region = ? AND app > ? ORDER BY app LIMIT ?`;
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

function regionOf(row: readonly SqlValue[]): StoredRegion {
  const [region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin] = row;
  return { region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin } as StoredRegion;
}
