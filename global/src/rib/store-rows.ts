/** The rows of the index as this agent's database has them: what the map is built from. */
import type { SqlValue } from "@patina/base";
import type { RibRows, StoredPlacement, StoredRegion } from "@patina/router";
import type { SqliteStore } from "@patina/store";

/** The placements' own clock is the region's: its generation and high-water. */
const CLOCK = `_patina_epoch, _patina_hlc, (SELECT origin FROM _patina_origins WHERE idx = _patina_origin)`;
const PLACEMENTS = `SELECT app, region, class, ${CLOCK} FROM _patina_rows_placements`;
const REGIONS = `SELECT region, generation, heartbeat_ms, apis, location, ${CLOCK} FROM _patina_rows_regions`;

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
  const [region, generation, heartbeatMs, apis, location, epoch, hlc, origin] = row;
  return { region, generation, heartbeatMs, apis, location, epoch, hlc, origin } as StoredRegion;
}
