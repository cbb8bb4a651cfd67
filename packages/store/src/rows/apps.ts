/** Which tables' rows belong to apps, and how far an app's own rows have come: what a region's summary is stamped with. */
import type { Hlc, SqlValue } from "@patina/base";
import type { Table } from "../database/layout.js";
import { quoteName } from "../sql/tokens.js";

export interface AppsParts {
  /** Tables of the schema there is now. */
  readonly tables: () => ReadonlyMap<string, Table>;
  readonly read: (sql: string, params: readonly SqlValue[]) => SqlValue[][];
}

export class Apps {
  readonly #parts: AppsParts;

  constructor(parts: AppsParts) {
    this.#parts = parts;
  }

  /** Tables whose rows belong to apps. */
  tables(): string[] {
    return [...this.#parts.tables().values()].flatMap(({ name, appColumn }) => (appColumn === undefined ? [] : [name]));
  }

  /** The column that names a row's app, for tables that have one. */
  column(table: string): string | undefined {
    return this.#parts.tables().get(table)?.appColumn;
  }

  /** The highest HLC of an app's own rows, tombstones included. `table` must name one with an app column. */
  highWater(table: string, app: string): Hlc {
    const { rowsTable, appColumn } = this.#parts.tables().get(table) ?? {};
    if (rowsTable === undefined || appColumn === undefined) return 0n;
    const sql = `SELECT max(
      coalesce((SELECT max(_patina_hlc) FROM ${quoteName(rowsTable)} WHERE ${quoteName(appColumn)} = ?), 0),
      coalesce((SELECT max(hlc) FROM _patina_tombstones WHERE tbl = ? AND app = ?), 0),
      coalesce((SELECT hlc FROM _patina_app_high WHERE tbl = ? AND app = ?), 0))`;
    const [row] = this.#parts.read(sql, [app, table, app, table, app]) as [bigint][];
    return row?.[0] ?? 0n;
  }
}
