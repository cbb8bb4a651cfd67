/**
 * Where things are in a database file.
 *
 *   machines                  view: exactly the user's columns, for every reader and for the sqlite3 command line
 *   _patina_rows_machines     table: the user's columns, then the clock (epoch, hlc, origin, version) and the row's hash
 *   _patina_tombstones        deleted rows, apart, so that no user query or index ever meets one
 *   _patina_log               per version, the keys of the rows it wrote, for peers that ask for versions
 *   _patina_origins           every writer ever heard of, its head and gaps: the durable holdings
 *   _patina_digests           per table, the sums of its rows' hashes by bucket
 *   _patina_quarantine        changes that could not be applied, with the reason
 *   _patina_meta              what file this is: cluster, generation, node, database id, schema
 */
import { AppError, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import type { Affinity } from "./affinity.js";
import type { Schema, TableSchema } from "./schema.js";
import { parseSchema } from "./schema.js";
import { RESERVED_PREFIX } from "./sql/reserved.js";
import { isWord, nameOf, quoteName, tokenize } from "./sql/tokens.js";

export const FORMAT = 2;

/** The clock columns, in the order every statement here lists them. */
export const CLOCK_COLUMNS = ["epoch", "hlc", "origin", "version", "hash"].map((name) => RESERVED_PREFIX + name);

const CLOCK_DEFINITIONS = ["epoch", "hlc", "origin", "version"]
  .map((name) => `${RESERVED_PREFIX}${name} INTEGER NOT NULL DEFAULT 0`)
  .concat(`${RESERVED_PREFIX}hash INTEGER`);

const ENGINE_TABLES = `
  CREATE TABLE IF NOT EXISTS _patina_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_origins (
    idx INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL, gaps TEXT NOT NULL, owed INTEGER NOT NULL, hlc INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS _patina_tombstones (
    tbl TEXT NOT NULL, key BLOB NOT NULL, epoch INTEGER NOT NULL, hlc INTEGER NOT NULL,
    origin INTEGER NOT NULL, version INTEGER NOT NULL, app TEXT, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS _patina_tombstones_app ON _patina_tombstones (tbl, app);
  CREATE TABLE IF NOT EXISTS _patina_log (
    origin INTEGER NOT NULL, version INTEGER NOT NULL, part INTEGER NOT NULL, count INTEGER NOT NULL,
    keys BLOB NOT NULL, PRIMARY KEY (origin, version, part)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_digests (tbl TEXT NOT NULL PRIMARY KEY, sums BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS _patina_quarantine (
    origin INTEGER NOT NULL, version INTEGER NOT NULL, hlc INTEGER NOT NULL,
    reason TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (origin, version)) WITHOUT ROWID;
`;

function rowsTable(table: string): string {
  return `${RESERVED_PREFIX}rows_${table}`;
}

export function readMeta(db: Database.Database, key: string): string | undefined {
  return db.prepare("SELECT value FROM _patina_meta WHERE key = ?").pluck().get(key) as string | undefined;
}

export function writeMeta(db: Database.Database, key: string, value: string): void {
  db.prepare("INSERT INTO _patina_meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(key, value);
}

export function createEngineTables(db: Database.Database): void {
  db.exec(ENGINE_TABLES);
}

/**
 * Makes the file hold `schema`, in one transaction. Only additions are accepted: new tables, new columns at no cost to
 * the rows, indexes and views of any kind. Throws `schema-destructive` and changes nothing otherwise.
 */
export function migrate(db: Database.Database, schema: Schema): void {
  const before = readMeta(db, "schema");
  if (before === schema.sql) return;
  const old = before === undefined ? undefined : parseSchema(before);
  const change = db.transaction(() => {
    for (const view of [...(old?.views ?? []), ...(old?.tables ?? [])]) {
      db.exec(`DROP VIEW IF EXISTS ${quoteName(view.name)}`);
    }
    for (const index of old?.indexes ?? []) db.exec(`DROP INDEX IF EXISTS ${quoteName(index.name)}`);
    for (const table of old?.tables ?? []) refuseDropped(table, schema);
    for (const table of schema.tables) {
      const known = old?.tables.find(({ name }) => name === table.name);
      if (known === undefined) createTable(db, table);
      else addColumns(db, known, table);
      createView(db, table);
    }
    for (const index of schema.indexes) db.exec(indexOnRows(index.sql, index.table));
    for (const view of schema.views) db.exec(view.sql);
    writeMeta(db, "schema", schema.sql);
  });
  change.immediate();
}

function refuseDropped(table: TableSchema, schema: Schema): void {
  if (schema.tables.some(({ name }) => name === table.name)) return;
  throw new AppError("schema-destructive", `the schema no longer has table ${table.name}, which holds data here`, {
    hint: "Keep the table in the schema; dropping data is a separate, two-phase operation.",
  });
}

function createTable(db: Database.Database, table: TableSchema): void {
  const rows = quoteName(rowsTable(table.name));
  db.exec(table.createSql);
  db.exec(`ALTER TABLE ${quoteName(table.name)} RENAME TO ${rows}`);
  for (const definition of CLOCK_DEFINITIONS) db.exec(`ALTER TABLE ${rows} ADD COLUMN ${definition}`);
}

function addColumns(db: Database.Database, known: TableSchema, wanted: TableSchema): void {
  for (const column of known.columns) {
    const kept = wanted.columns.find(({ name }) => name === column.name);
    if (kept?.signature === column.signature) continue;
    const what = kept === undefined ? "no longer has" : "changes the definition of";
    throw new AppError("schema-destructive", `the schema ${what} column ${known.name}.${column.name}`, {
      hint: "Add a new column instead; old peers still write the one that is there.",
    });
  }
  const rows = quoteName(rowsTable(wanted.name));
  for (const column of wanted.columns) {
    if (known.columns.some(({ name }) => name === column.name)) continue;
    db.exec(`ALTER TABLE ${rows} ADD COLUMN ${column.definition}`);
  }
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

export interface ValueColumn {
  readonly name: string;
  /** The name as it stands in a row's bytes. */
  readonly nameBytes: Uint8Array;
  readonly affinity: Affinity;
  readonly defaultValue: SqlValue;
}

/** A table as the engine's statements need it. */
export interface Table {
  readonly name: string;
  readonly rowsTable: string;
  readonly key: readonly string[];
  /** Of the key's columns, in key order. */
  readonly keyAffinities: readonly Affinity[];
  /** Every column a row's state is made of, beside the key: sorted by name, generated ones left out. */
  readonly values: readonly ValueColumn[];
  /** What INSERT without a column list means: the user's own order. */
  readonly insertColumns: readonly string[];
  /** The same, to look a column up in. */
  readonly writable: ReadonlySet<string>;
  readonly appColumn: string | undefined;
  /** The app column's place in `values`; -1 when the table has none. */
  readonly appIndex: number;
  /** The app column's place in `key`; -1 when it is no part of it. */
  readonly appKeyIndex: number;
}

export function tableOf(schema: TableSchema): Table {
  const stored = schema.columns.filter(({ isGenerated }) => !isGenerated);
  const values = stored.filter(({ isKey }) => !isKey).sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name: schema.name,
    rowsTable: rowsTable(schema.name),
    key: schema.key,
    keyAffinities: schema.key.map(
      (name) =>
        must(
          schema.columns.find((it) => it.name === name),
          "a key column",
        ).affinity,
    ),
    values: values.map(({ name, affinity, defaultValue }) => {
      return { name, nameBytes: Buffer.from(name), affinity, defaultValue };
    }),
    insertColumns: stored.map(({ name }) => name),
    writable: new Set(stored.map(({ name }) => name)),
    appColumn: schema.appColumn,
    appIndex: values.findIndex(({ name }) => name === schema.appColumn),
    appKeyIndex: schema.key.findIndex((name) => name === schema.appColumn),
  };
}
