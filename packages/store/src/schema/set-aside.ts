/**
 * Between the tables and what waits beside them. A table or column whose definition lost gives its data up to
 * `_patina_aside` and `_patina_extras`; a schema that brings a table or column takes in what waited for it. Neither changes
 * a row's state, its hash or its clock: only where it is kept.
 */
import { must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { isSameValue } from "../rows/affinity.js";
import type { Aside } from "../rows/aside.js";
import type { Extra } from "../rows/extras.js";
import type { Table } from "../database/layout.js";
import type { DroppedNames } from "./dropped-names.js";
import { decodeKey, decodeState, encodeState } from "../rows/row-codec.js";
import { eachRow, type TableRows, type Waiting } from "../rows/rows.js";
import { quoteName } from "../sql/tokens.js";
import { isFatal } from "../database/sqlite-error.js";

/** Moves every row out and drops the table. */
export function setTableAside(db: Database.Database, table: Table, { extras, aside }: Waiting): void {
  for (const { keyBytes, values, clock, extras: own } of [...eachRow(db, table, extras)]) {
    const known = must(clock, "the clock of a row that the engine wrote");
    aside.put(db, table.name, keyBytes, { clock: known, state: encodeState(table, values, own) });
    extras.put(db, table.name, keyBytes, []);
  }
  db.exec(`DROP TABLE ${quoteName(table.rowsTable)}`);
}

/** Moves a column's values to their rows' extras and drops the column. */
export function setColumnAside(db: Database.Database, table: Table, name: string, { extras }: Waiting): void {
  const index = table.values.findIndex((column) => column.name === name);
  const { column, defaultValue } = table.values[index] ?? { column: name, defaultValue: null };
  for (const { keyBytes, values, extras: own } of index === -1 ? [] : [...eachRow(db, table, extras)]) {
    const value = values[index] ?? null;
    if (!isSameValue(value, defaultValue)) extras.put(db, table.name, keyBytes, withExtra(own, [name, value]));
  }
  db.exec(`ALTER TABLE ${quoteName(table.rowsTable)} DROP COLUMN ${quoteName(column)}`);
}

/** Takes in what waited for these tables and their columns; what does not fit, or is of one that was dropped, goes on waiting. */
export function takeIn(
  db: Database.Database,
  tables: ReadonlyMap<string, TableRows>,
  waiting: Waiting,
  dropped: DroppedNames,
): void {
  const { extras, aside } = waiting;
  for (const name of aside.tables()) {
    const rows = tables.get(name);
    if (rows !== undefined) takeRowsIn(db, rows, aside, dropped);
  }
  for (const rows of tables.values()) {
    const { name } = rows.table;
    for (const { key, extras: values } of extras.all(db, name)) {
      const columns = decodeKey(key, key.length);
      const hlc = rows.read(columns, key)?.clock?.hlc ?? 0n;
      const left = values.filter((extra) => {
        return dropped.hasValue(name, extra[0], hlc) || !takeValueIn(db, rows.table, columns, extra);
      });
      if (left.length < values.length) extras.put(db, name, key, left);
    }
  }
}

function takeRowsIn(db: Database.Database, rows: TableRows, aside: Aside, dropped: DroppedNames): void {
  const { table } = rows;
  for (const { key, row } of aside.rows(db, table.name)) {
    const columns = decodeKey(key, key.length);
    if (columns.length !== table.key.length) continue; // It waits for a table of that name whose key is like this.
    if (dropped.hasRow(table.name, row.clock.hlc)) continue; // It waits to be erased.
    db.exec("SAVEPOINT take_in");
    try {
      rows.putState(columns, key, decodeState(table, row.state, row.state.length), row.clock);
    } catch (thrown) {
      if (!db.inTransaction || isFatal(thrown)) throw thrown;
      db.exec("ROLLBACK TO take_in"); // A CHECK or a type refuses it.
    }
    db.exec("RELEASE take_in");
  }
}

/** False when the column is not there, or would not keep the value exactly as it is. */
function takeValueIn(db: Database.Database, table: Table, key: readonly SqlValue[], [name, value]: Extra): boolean {
  const found = table.values.find((it) => it.name === name);
  if (found === undefined) return false;
  const column = quoteName(found.column);
  const where = table.key.map((part) => `${quoteName(part)} = ?`).join(" AND ");
  const rows = quoteName(table.rowsTable);
  const before = db
    .prepare(`SELECT ${column} FROM ${rows} WHERE ${where}`)
    .pluck()
    .safeIntegers(true)
    .get(...key);
  try {
    db.prepare(`UPDATE ${rows} SET ${column} = ? WHERE ${where}`).run(value, ...key);
  } catch (thrown) {
    if (!db.inTransaction || isFatal(thrown)) throw thrown;
    return false; // A CHECK or a type refuses it.
  }
  const kept = db
    .prepare(`SELECT ${column} FROM ${rows} WHERE ${where}`)
    .pluck()
    .safeIntegers(true)
    .get(...key);
  if (isSameValue(kept as SqlValue, value)) return true;
  db.prepare(`UPDATE ${rows} SET ${column} = ? WHERE ${where}`).run(before, ...key);
  return false;
}

/** The extras with one more, which replaces an older one of its name. */
function withExtra(extras: readonly Extra[], extra: Extra): Extra[] {
  return [...extras.filter(([name]) => name !== extra[0]), extra].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}
