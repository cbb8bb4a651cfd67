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

export class StoreRows implements RibRows {
  readonly #store: SqliteStore;

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  placements(app?: string): readonly StoredPlacement[] {
    const rows =
      app === undefined
        ? this.#store.read(`${PLACEMENTS} ORDER BY app, region`)
        : this.#store.read(`${PLACEMENTS} WHERE app = ? ORDER BY region`, [app]);
    return rows.map(placementOf);
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
}

function placementOf([app, region, cls, epoch, hlc, origin]: readonly SqlValue[]): StoredPlacement {
  return { app, region, class: cls, epoch, hlc, origin } as StoredPlacement;
}

function regionOf(row: readonly SqlValue[]): StoredRegion {
  const [region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin] = row;
  return { region, generation, heartbeatMs, apis, location, apps, epoch, hlc, origin } as StoredRegion;
}
