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
 *   _patina_closed            by origin, the last version that the generation before may have left here
 *   _patina_collected         per origin, the highest version of which a tombstone was forgotten
 *   _patina_app_high          per app, the highest stamp of its rows whose tombstones were forgotten
 *   _patina_aside             rows of tables that this schema does not have yet, as they came
 *   _patina_extras            values of columns that it does not have yet, by row
 *   _patina_marks             by row, the cut of its epoch, and of deleted rows the owner
 *   _patina_fenced            writes of this node that lost to another owner's
 *   _patina_doubtful          rows that two owners claim in one epoch
 *   _patina_hidden            columns that it no longer has, and that still hold data
 *   _patina_meta              what file this is: cluster, generation, node, database id, schema
 */
import { must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import type { Affinity } from "../rows/affinity.js";
import type { Column, TableSchema } from "../schema/schema.js";
import { RESERVED_PREFIX } from "../sql/reserved.js";

export const FORMAT = 2;

/** The clock columns, in the order every statement here lists them. */
export const CLOCK_COLUMNS = ["epoch", "hlc", "origin", "version", "hash"].map((name) => RESERVED_PREFIX + name);

export const CLOCK_DEFINITIONS = ["epoch", "hlc", "origin", "version"]
  .map((name) => `${RESERVED_PREFIX}${name} INTEGER NOT NULL DEFAULT 0`)
  .concat(`${RESERVED_PREFIX}hash INTEGER`);

const ENGINE_TABLES = `
  CREATE TABLE IF NOT EXISTS _patina_meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_origins (
    idx INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL, gaps TEXT NOT NULL, owed INTEGER NOT NULL, hlc INTEGER NOT NULL,
    linked INTEGER, chain INTEGER NOT NULL);
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
  CREATE TABLE IF NOT EXISTS _patina_closed (origin INTEGER PRIMARY KEY, head INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS _patina_collected (origin INTEGER PRIMARY KEY, version INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS _patina_app_high (
    tbl TEXT NOT NULL, app TEXT NOT NULL, hlc INTEGER NOT NULL, PRIMARY KEY (tbl, app)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_aside (
    tbl TEXT NOT NULL, key BLOB NOT NULL, epoch INTEGER NOT NULL, hlc INTEGER NOT NULL, origin INTEGER NOT NULL,
    version INTEGER NOT NULL, hash INTEGER NOT NULL, state BLOB NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_extras (
    tbl TEXT NOT NULL, key BLOB NOT NULL, state BLOB NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_marks (
    tbl TEXT NOT NULL, key BLOB NOT NULL, epoch INTEGER NOT NULL, owner TEXT,
    hlc INTEGER, origin TEXT, version INTEGER, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS _patina_fenced (
    seq INTEGER PRIMARY KEY, tbl TEXT NOT NULL, key BLOB NOT NULL, origin TEXT NOT NULL, version INTEGER NOT NULL,
    owner TEXT, epoch INTEGER NOT NULL, UNIQUE (tbl, key, origin, version));
  CREATE TABLE IF NOT EXISTS _patina_doubtful (
    seq INTEGER PRIMARY KEY, tbl TEXT NOT NULL, key BLOB NOT NULL, epoch INTEGER NOT NULL,
    owner TEXT, other TEXT, UNIQUE (tbl, key));
  CREATE TABLE IF NOT EXISTS _patina_hidden (
    tbl TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL, PRIMARY KEY (tbl, name)) WITHOUT ROWID;
`;

/** The table behind the view `table`. */
export function rowsTable(table: string): string {
  return `${RESERVED_PREFIX}rows_${table}`;
}

/** What a column is called in the file once the schema no longer has it. */
export function hiddenName(column: string): string {
  return `${RESERVED_PREFIX}hidden_${column}`;
}

export function readMeta(db: Database.Database, key: string): string | undefined {
  return db.prepare("SELECT value FROM _patina_meta WHERE key = ?").pluck().get(key) as string | undefined;
}

export function writeMeta(db: Database.Database, key: string, value: string): void {
  db.prepare("INSERT INTO _patina_meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(key, value);
}

/** Something to commit: a commit at FULL syncs the log only if it writes to it. */
export function countSync(db: Database.Database): void {
  writeMeta(db, "syncs", String(Number(readMeta(db, "syncs") ?? 0) + 1));
}

export function createEngineTables(db: Database.Database): void {
  db.exec(ENGINE_TABLES);
}

export interface ValueColumn {
  readonly name: string;
  /** Its name in the file: a hidden column has one that users' SQL cannot reach. */
  readonly column: string;
  /** The name as it stands in a row's bytes. */
  readonly nameBytes: Uint8Array;
  readonly affinity: Affinity;
  readonly defaultValue: SqlValue;
  /** No longer in the schema: its values are kept and passed on, and nobody sees or writes it. */
  readonly isHidden: boolean;
}

/** A table as the engine's statements need it. */
export interface Table {
  readonly name: string;
  /** No longer in the schema: its rows are kept and passed on, and nobody sees or writes them. */
  readonly isHidden: boolean;
  readonly rowsTable: string;
  readonly key: readonly string[];
  /** SQLite would make up the key of a row that SQL inserts without one. */
  readonly isRowidKey: boolean;
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
  /** The owner column's place in `values`; -1 when rows have no owner. */
  readonly ownerIndex: number;
}

/** `hidden` are columns the file still has although the schema does not. */
export function tableOf(schema: TableSchema, hidden: readonly Column[] = []): Table {
  const stored = schema.columns.filter(({ isGenerated }) => !isGenerated);
  const kept = hidden.filter(({ isGenerated }) => !isGenerated);
  const values = [...stored.filter(({ isKey }) => !isKey), ...kept].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name: schema.name,
    isHidden: false,
    rowsTable: rowsTable(schema.name),
    key: schema.key,
    isRowidKey: schema.isRowidKey,
    keyAffinities: schema.key.map(
      (name) =>
        must(
          schema.columns.find((it) => it.name === name),
          "a key column",
        ).affinity,
    ),
    values: values.map(({ name, affinity, defaultValue }) => {
      const isHidden = kept.some((column) => column.name === name);
      const column = isHidden ? hiddenName(name) : name;
      return { name, column, nameBytes: Buffer.from(name), affinity, defaultValue, isHidden };
    }),
    insertColumns: stored.map(({ name }) => name),
    writable: new Set(stored.map(({ name }) => name)),
    appColumn: schema.appColumn,
    appIndex: values.findIndex(({ name }) => name === schema.appColumn),
    appKeyIndex: schema.key.findIndex((name) => name === schema.appColumn),
    ownerIndex: values.findIndex(({ name }) => name === schema.ownerColumn),
  };
}
