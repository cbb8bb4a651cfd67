/** Arbitrary SQL, the general way in: statements run as they are, and what they made of each touched row is read once. */
import { must, type SqlValue, type Statement } from "@patina/base";
import type { Capture, TouchedRow } from "./capture.js";
import type { Origins } from "../log/origins.js";
import { extrasLeft, isUnchanged, type Pending } from "../rows/pending.js";
import { encodeState } from "../rows/row-codec.js";
import { changedColumns, type StoredRow, type TableRows, UNSTAMPED } from "../rows/rows.js";
import { assertUnicode } from "../rows/text.js";
import type { StatementCache } from "./statement-cache.js";

export class CapturedWrites {
  readonly #capture: Capture;
  readonly #statements: StatementCache;
  readonly #origins: Origins;
  readonly #tables: ReadonlyMap<string, TableRows>;

  constructor(capture: Capture, statements: StatementCache, origins: Origins, tables: ReadonlyMap<string, TableRows>) {
    this.#capture = capture;
    this.#statements = statements;
    this.#origins = origins;
    this.#tables = tables;
  }

  /** Runs the statements and says which rows they left changed. Throws what SQLite throws: the caller rolls back. */
  run(statements: readonly Statement[]): { pending: Pending[]; rowsAffected: number[] } {
    const rowsAffected: number[] = [];
    let touched;
    this.#capture.start();
    try {
      for (const statement of statements) rowsAffected.push(this.#runStatement(statement));
    } finally {
      touched = this.#capture.take();
    }
    return { pending: touched.flatMap((row) => this.#pendingRow(row) ?? []), rowsAffected };
  }

  #runStatement({ sql, params }: Statement): number {
    const statement = this.#statements.get(sql);
    for (const value of Object.values(params)) assertUnicode(value, "a parameter");
    return statement.run(...(Array.isArray(params) ? (params as SqlValue[]) : [params])).changes;
  }

  /** What SQL made of a row; nothing when it is as it was. */
  #pendingRow(touched: TouchedRow): Pending | undefined {
    const { table, key, keyBytes, gone, isMovedHere, appBefore, ownerWas } = touched;
    const rows = must(this.#tables.get(table.name), `statements for ${table.name}`);
    const row = withHidden(rows, touched, rows.read(key, keyBytes));
    const waiting = row?.clock === undefined ? rows.readAside(keyBytes) : undefined;
    const before = gone ?? (isMovedHere ? undefined : row?.clock) ?? waiting?.clock;
    const app = appBefore === undefined ? rows.appOf(key, row?.values) : appBefore.app;
    const appWas = before === undefined ? undefined : app;
    const isStill = waiting === undefined ? rows.ownerOf(row?.values) : rows.ownerAside(waiting);
    const ownerBefore = before === undefined ? undefined : ownerWas === undefined ? isStill : ownerWas.owner;
    const was = { before, appBefore: appWas, ownerBefore };
    const known = { rows, key, keyBytes, ...was, hlc: undefined, todo: "stamp" } as const;
    if (row === undefined) {
      if (before === undefined) return undefined;
      return { ...known, state: undefined, values: undefined, extras: [], epoch: before.epoch, isBuried: false };
    }
    rows.assertText(key, row.values);
    const extras = extrasLeft(table, row.values, row.extras);
    const state = encodeState(table, row.values, extras);
    if (before !== undefined && isUnchanged(this.#origins, table, keyBytes, before, state)) {
      // A REPLACE by itself dropped the clock; a row moved here from another key brought that key's.
      if (row.clock?.hash !== before.hash) rows.stamp(key, before);
      return undefined;
    }
    const buried = before === undefined ? rows.tombstone(keyBytes) : undefined;
    const epoch = before?.epoch ?? buried?.epoch ?? 0;
    return { ...known, state, values: row.values, extras, epoch, isBuried: buried !== undefined };
  }
}

/** The row that SQL left, with what the hidden columns of the one that it took the place of held. */
function withHidden(rows: TableRows, touched: TouchedRow, row: StoredRow | undefined): StoredRow | undefined {
  const { key, hiddenWas, isMovedHere } = touched;
  if (row === undefined || hiddenWas === undefined || isMovedHere) return row;
  const kept = [...hiddenWas];
  const values = rows.table.values.map(({ isHidden }, i) => (isHidden ? kept.shift() : row.values[i]) ?? null);
  const changed = changedColumns(row.values.slice(0, values.length), values);
  if (changed.length > 0) rows.update(key, changed, values, row.clock ?? UNSTAMPED);
  return { ...row, values };
}
