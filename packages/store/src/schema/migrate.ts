/**
 * Makes a file hold a schema. Nothing here loses a value: a table or column that the schema no longer has is hidden and
 * keeps its data; one that is there under another definition is put aside row by row, and waits like values of columns
 * not known yet.
 *
 * Adding costs nothing per row: a new column's default is virtual until it is written.
 */
import { AppError } from "@patina/base";
import type Database from "better-sqlite3";
import { hiddenColumns, hiddenTable, hide, tablesOf, unhide } from "./hidden.js";
import {
  CLOCK_DEFINITIONS,
  hiddenName,
  readMeta,
  rowsTable,
  type Table,
  tableOf,
  writeMeta,
} from "../database/layout.js";
import { CHECKPOINTS_TABLE } from "../log/checkpoint-notes.js";
import { MEMBERS_TABLE } from "../log/members.js";
import { rowsOf, type Waiting } from "../rows/rows.js";
import { type Column, type NamedStatement, parseSchema, type Schema, type TableSchema } from "./schema.js";
import { DroppedNames } from "./dropped-names.js";
import { goneNames, SCHEMAS_TABLE } from "./schema-history.js";
import { setColumnAside, setTableAside, takeIn } from "./set-aside.js";
import { isWord, nameOf, quoteName, tokenize } from "../sql/tokens.js";

/**
 * In one transaction: the schema is taken as a whole, or nothing has changed. No trigger of the engine's may be left on the
 * connection: a renamed column would break it.
 */
export function migrate(db: Database.Database, schema: Schema, waiting: Waiting): void {
  for (const table of [SCHEMAS_TABLE, MEMBERS_TABLE, CHECKPOINTS_TABLE])
    if (!isThere(db, table)) createTable(db, table);
  const before = readMeta(db, "schema");
  if (before === schema.sql) return;
  const old = before === undefined ? undefined : parseSchema(before);
  const change = db.transaction(() => {
    for (const { name } of [...(old?.views ?? []), ...(old?.tables ?? [])]) {
      db.exec(`DROP VIEW IF EXISTS ${quoteName(name)}`);
    }
    const [indexesBefore, indexes] = [old?.indexes ?? [], schema.indexes];
    for (const { name } of except(indexesBefore, indexes)) db.exec(`DROP INDEX IF EXISTS ${quoteName(name)}`);
    for (const table of old?.tables ?? []) {
      if (!schema.tables.some(({ name }) => name === table.name))
        hide(db, table.name, "", { definition: table.createSql });
    }
    const gone = goneNames(db);
    for (const table of schema.tables) {
      const visible = old?.tables.find(({ name }) => name === table.name);
      const isReused = (name: string): boolean => gone.reused.some((it) => it.name === name);
      migrateTable(db, visible ?? hiddenTable(db, table.name), table, {
        waiting,
        isReused: visible === undefined && isReused(table.name),
        indexes: indexes.filter(({ table: of }) => of === table.name),
        isColumnReused: (column) => isReused(`${table.name}.${column}`),
      });
      createView(db, table);
    }
    // A table that was made anew has lost those that were there before.
    for (const { name, sql, table } of indexes) if (!isIndexThere(db, name)) db.exec(indexOnRows(sql, table));
    for (const view of schema.views) db.exec(view.sql);
    takeIn(db, rowsOf(db, tablesOf(db, schema), waiting), waiting, new DroppedNames(gone));
    writeMeta(db, "schema", schema.sql);
  });
  change.immediate();
}

function except<T extends { readonly name: string; readonly sql: string }>(
  from: readonly T[],
  without: readonly T[],
): T[] {
  return from.filter(({ name, sql }) => !without.some((it) => it.name === name && it.sql === sql));
}

function isIndexThere(db: Database.Database, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?").get(name) !== undefined;
}

function isThere(db: Database.Database, { name }: TableSchema): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(rowsTable(name)) !== undefined;
}

interface Ways {
  readonly waiting: Waiting;
  /** What is hidden by that name was dropped: this is another table. */
  readonly isReused: boolean;
  /** Those it will have: one stands in the way of a column that is put aside, and is made again afterwards. */
  readonly indexes: readonly NamedStatement[];
  readonly isColumnReused: (column: string) => boolean;
}

function migrateTable(
  db: Database.Database,
  before: TableSchema | undefined,
  wanted: TableSchema,
  { waiting, isReused, indexes, isColumnReused }: Ways,
): void {
  unhide(db, wanted.name, "");
  if (before === undefined) return createTable(db, wanted);
  const hidden = hiddenColumns(db, before);
  if (isReused || shapeOf(before) !== shapeOf(wanted)) {
    setTableAside(db, tableOf(before, hidden), waiting);
    for (const { name } of hidden) unhide(db, before.name, name);
    return createTable(db, wanted);
  }
  let there = tableOf(before, hidden);
  for (const column of wanted.columns) {
    const visible = before.columns.find(({ name }) => name === column.name);
    const known = visible ?? hidden.find(({ name }) => name === column.name);
    const isAnother = visible === undefined && isColumnReused(column.name);
    const isKept = known?.signature === column.signature && !isAnother;
    if (known !== undefined && !isKept) {
      for (const { name } of indexes) db.exec(`DROP INDEX IF EXISTS ${quoteName(name)}`);
      setColumnAside(db, there, column.name, waiting);
      there = without(there, column.name);
    }
    if (!isKept) alter(db, wanted, `ADD COLUMN ${column.definition}`);
    else if (visible === undefined) alter(db, wanted, renaming(hiddenName(column.name), column.name));
    unhide(db, wanted.name, column.name);
  }
  const goes = before.columns.filter(({ name }) => !wanted.columns.some((column) => column.name === name));
  hideColumns(db, there, goes, waiting);
}

/**
 * A generated column holds nothing, and goes. One with a check would go on checking what others write who do not have it, so its
 * values go to their rows' extras. Both first: they may name the others, which are only renamed.
 */
function hideColumns(db: Database.Database, table: Table, goes: readonly Column[], waiting: Waiting): void {
  const rows = quoteName(table.rowsTable);
  for (const { name } of goes.filter(({ isGenerated }) => isGenerated)) {
    db.exec(`ALTER TABLE ${rows} DROP COLUMN ${quoteName(name)}`);
  }
  let there = table;
  const stored = goes.filter(({ isGenerated }) => !isGenerated);
  for (const { name, definition } of stored.filter(hasCheck)) {
    setColumnAside(db, there, name, waiting);
    there = without(there, name);
    hide(db, table.name, name, { definition, isAside: true });
  }
  for (const { name, definition } of stored.filter((column) => !hasCheck(column))) {
    db.exec(`ALTER TABLE ${rows} ${renaming(name, hiddenName(name))}`);
    hide(db, table.name, name, { definition });
  }
}

function hasCheck({ definition }: Column): boolean {
  return tokenize(definition).some((token) => isWord(token, "CHECK"));
}

function without(table: Table, column: string): Table {
  return { ...table, values: table.values.filter(({ name }) => name !== column) };
}

/** What no ALTER TABLE can change. */
function shapeOf({ key, options, checks }: TableSchema): string {
  return [...key, options, checks].join();
}

function alter(db: Database.Database, table: TableSchema, change: string): void {
  db.exec(`ALTER TABLE ${quoteName(rowsTable(table.name))} ${change}`);
}

function renaming(from: string, to: string): string {
  return `RENAME COLUMN ${quoteName(from)} TO ${quoteName(to)}`;
}

function createTable(db: Database.Database, table: TableSchema): void {
  const rows = quoteName(rowsTable(table.name));
  db.exec(table.createSql);
  db.exec(`ALTER TABLE ${quoteName(table.name)} RENAME TO ${rows}`);
  for (const definition of CLOCK_DEFINITIONS) db.exec(`ALTER TABLE ${rows} ADD COLUMN ${definition}`);
}

function createView(db: Database.Database, table: TableSchema): void {
  const columns = table.columns.map(({ name }) => quoteName(name)).join(", ");
  db.exec(`CREATE VIEW ${quoteName(table.name)} AS SELECT ${columns} FROM ${quoteName(rowsTable(table.name))}`);
}

/** CREATE INDEX … ON machines → ON "_patina_rows_machines". */
function indexOnRows(sql: string, table: string): string {
  const tokens = tokenize(sql);
  const on = tokens.findIndex((token) => token.depth === 0 && isWord(token, "ON"));
  const name = tokens[on + 1];
  if (name === undefined || nameOf(name)?.toLowerCase() !== table.toLowerCase()) {
    throw new AppError("schema-invalid", `cannot see which table this index is on: ${sql}`, {
      hint: "Name it plainly.",
    });
  }
  return sql.slice(0, name.start) + quoteName(rowsTable(table)) + sql.slice(name.end);
}
