/** The region's detail, as border and API read it: which apps are here, their machines, and how new that is. */
import { type Hlc, type SqlValue, valueToJson } from "@patina/base";
import { quoteName, type SqliteStore } from "@patina/store";
import { PLACEMENT_VIEW } from "./tier.js";

export type PlacementClass = "serving" | "standby";

export interface AppPlacement {
  readonly app: string;
  readonly class: PlacementClass;
}

export class Detail {
  readonly #store: SqliteStore;

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  /** False when the schema has no view to summarise: then the region has no apps to tell of. A later one may. */
  get hasView(): boolean {
    const sql = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?";
    return this.#store.read(sql, [PLACEMENT_VIEW]).length > 0;
  }

  apps(): AppPlacement[] {
    return this.hasView
      ? this.#store.read(`SELECT app, class FROM ${PLACEMENT_VIEW} ORDER BY app`).map(placementOf)
      : [];
  }

  app(app: string): AppPlacement | undefined {
    if (!this.hasView) return undefined;
    const [row] = this.#store.read(`SELECT app, class FROM ${PLACEMENT_VIEW} WHERE app = ?`, [app]);
    return row === undefined ? undefined : placementOf(row);
  }

  /** The highest stamp of the app's own rows, deleted ones included: equal detail gives the equal number everywhere. */
  highWater(app: string): Hlc {
    let high = 0n;
    for (const table of this.#store.apps.tables()) {
      const stamp = this.#store.apps.highWater(table, app);
      if (stamp > high) high = stamp;
    }
    return high;
  }

  /** The app's rows, as JSON objects, from every table that names apps. */
  instances(app: string, limit: number): Record<string, unknown>[] {
    return this.#store.apps.tables().flatMap((table) => {
      const columns = this.#store.columns(table);
      const appColumn = quoteName(this.#store.apps.column(table) ?? "app");
      const sql = `SELECT * FROM ${quoteName(table)} WHERE ${appColumn} = ? LIMIT ?`;
      return this.#store.read(sql, [app, BigInt(limit)]).map((row) => toObject(columns, row));
    });
  }
}

function placementOf([app, cls]: SqlValue[]): AppPlacement {
  return { app: String(app), class: cls === "serving" ? "serving" : "standby" };
}

function toObject(columns: readonly string[], row: readonly SqlValue[]): Record<string, unknown> {
  return Object.fromEntries(columns.map((name, i) => [name, valueToJson(row[i] ?? null)]));
}
