/** The statements that read and write one table's rows and clocks, prepared once per connection. */
import { type Hlc, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { isSameValue, isStoredAsIs } from "./affinity.js";
import type { Aside, AsideRow } from "./aside.js";
import type { Extra, Extras } from "./extras.js";
import { CLOCK_COLUMNS, type Table } from "../database/layout.js";
import { type DecodedState, decodeState, encodeKey } from "./row-codec.js";
import { quoteName } from "../sql/tokens.js";
import { assertStoredText } from "./text.js";
import { dropTombstone, putTombstone, readTombstone, type Tombstone } from "./tombstones.js";

/** A row's stamp as the file keeps it: `origin` is the dense number. */
export interface Clock {
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly origin: number;
  readonly version: number;
}

export interface HashedClock extends Clock {
  readonly hash: bigint;
}

/** The clock of a row between being written and being stamped, inside one transaction. */
export const UNSTAMPED: HashedClock = { epoch: 0, hlc: 0n, origin: 0, version: 0, hash: 0n };

export interface StoredRow {
  /** In the order of `table.values`; what comes after those is not theirs. */
  readonly values: readonly SqlValue[];
  /** Undefined for a row that has just been inserted and not stamped yet. */
  readonly clock: HashedClock | undefined;
  /** What it holds in columns that the schema does not have. */
  readonly extras: readonly Extra[];
}

/** What waits beside the tables for a schema that has a place for it. */
export interface Waiting {
  readonly extras: Extras;
  readonly aside: Aside;
}

/** Different sets of columns that updates touch: programs write the same few. */
const UPDATES_CACHED_MAX = 64;

export class TableRows {
  readonly table: Table;
  readonly #read: Database.Statement;
  readonly #upsert: Database.Statement;
  readonly #stamp: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #keyProbe: KeyProbe;
  readonly #db: Database.Database;
  readonly #waiting: Waiting;
  /** Updates by the columns they set, most recently made last. */
  readonly #updates = new Map<string, Database.Statement>();

  constructor(db: Database.Database, table: Table, waiting: Waiting) {
    this.#db = db;
    this.#waiting = waiting;
    this.table = table;
    const rows = quoteName(table.rowsTable);
    const values = table.values.map(({ column }) => quoteName(column));
    const key = table.key.map(quoteName);
    const where = key.map((name) => `${name} = ?`).join(" AND ");
    const all = [...key, ...values, ...CLOCK_COLUMNS];
    const updates = [...values, ...CLOCK_COLUMNS].map((name) => `${name} = excluded.${name}`).join(", ");
    this.#read = db.prepare(`SELECT ${[...values, ...CLOCK_COLUMNS].join(", ")} FROM ${rows} WHERE ${where}`);
    this.#read.raw().safeIntegers(true);
    this.#upsert = db.prepare(
      `INSERT INTO ${rows} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})
       ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${updates}`,
    );
    this.#stamp = db.prepare(
      `UPDATE ${rows} SET ${CLOCK_COLUMNS.map((name) => `${name} = ?`).join(", ")} WHERE ${where}`,
    );
    this.#delete = db.prepare(`DELETE FROM ${rows} WHERE ${where}`);
    this.#keyProbe = new KeyProbe(db, table);
  }

  /** The key as the table would keep it: a column's type may turn 5 into '5'. Its bytes must be those that are kept. */
  storedKey(key: readonly SqlValue[]): readonly SqlValue[] {
    return this.#keyProbe.stored(key);
  }

  read(key: readonly SqlValue[], keyBytes: Uint8Array): StoredRow | undefined {
    const row = this.#read.get(...key) as SqlValue[] | undefined;
    if (row === undefined) return undefined;
    const { name, values } = this.table;
    return {
      values: row,
      clock: clockOf(row, values.length),
      extras: this.#waiting.extras.read(this.#db, name, keyBytes),
    };
  }

  /** A row that the table could not take as it is, and that waits for a schema whose table can. */
  readAside(keyBytes: Uint8Array): AsideRow | undefined {
    return this.#waiting.aside.read(this.#db, this.table.name, keyBytes);
  }

  /** A new state of the row takes the place of what waited of it beside the table, but for these extras. */
  clearWaiting(keyBytes: Uint8Array, extras: readonly Extra[] = []): void {
    this.#waiting.extras.put(this.#db, this.table.name, keyBytes, extras);
    this.#waiting.aside.drop(this.#db, this.table.name, keyBytes);
  }

  /**
   * Writes a state as it came, to the bit: a value that its column would change is put with the row's extras. Throws what
   * SQLite throws when the table refuses the row. Returns the values as they are kept.
   */
  putState(
    key: readonly SqlValue[],
    keyBytes: Uint8Array,
    { values, extras }: DecodedState,
    clock: HashedClock,
    current?: StoredRow,
  ): readonly SqlValue[] {
    if (current === undefined) this.upsert(key, values, clock);
    else this.update(key, changedColumns(current.values, values), values, clock);
    const { values: columns } = this.table;
    if (values.every((value, i) => isStoredAsIs(value, must(columns[i], "a column").affinity))) {
      this.clearWaiting(keyBytes, extras);
      return values;
    }
    const kept = must(this.read(key, keyBytes), "a row just written").values;
    const changed = changedColumns(kept, values);
    const fitting = values.map((value, i) => (changed.includes(i) ? must(columns[i], "a column").defaultValue : value));
    if (changed.length > 0) this.update(key, changed, fitting, clock);
    const unfit = changed.map((i): Extra => [must(columns[i], "a column").name, values[i] ?? null]);
    this.clearWaiting(
      keyBytes,
      [...extras, ...unfit].sort((a, b) => (a[0] < b[0] ? -1 : 1)),
    );
    return fitting;
  }

  /** Throws `bad-request` when users' SQL left bytes in the row that are no text, and called them text. */
  assertText(key: readonly SqlValue[], values: readonly SqlValue[]): void {
    assertStoredText(this.#db, this.table, key, values);
  }

  upsert(key: readonly SqlValue[], values: readonly SqlValue[], clock: HashedClock): void {
    this.#upsert.run(...key, ...values, clock.epoch, clock.hlc, clock.origin, clock.version, clock.hash);
  }

  /** Writes the columns that changed and no others: SQLite rewrites every index whose column is set. */
  update(key: readonly SqlValue[], changed: readonly number[], values: readonly SqlValue[], clock: HashedClock): void {
    const { epoch, hlc, origin, version, hash } = clock;
    const set = changed.map((column) => values[column]);
    this.#updateOf(changed).run(...set, epoch, hlc, origin, version, hash, ...key);
  }

  #updateOf(changed: readonly number[]): Database.Statement {
    const mask = changed.join(",");
    const cached = this.#updates.get(mask);
    if (cached !== undefined) return cached;
    const { values, key, rowsTable } = this.table;
    const columns = changed.map((column) => quoteName(must(values[column], "a column").column)).concat(CLOCK_COLUMNS);
    const statement = this.#db.prepare(
      `UPDATE ${quoteName(rowsTable)} SET ${columns.map((name) => `${name} = ?`).join(", ")}
       WHERE ${key.map((name) => `${quoteName(name)} = ?`).join(" AND ")}`,
    );
    const [oldest] = this.#updates.keys();
    if (this.#updates.size >= UPDATES_CACHED_MAX && oldest !== undefined) this.#updates.delete(oldest);
    this.#updates.set(mask, statement);
    return statement;
  }

  /** Sets the clock of a row that user SQL has written. */
  stamp(key: readonly SqlValue[], clock: HashedClock): void {
    this.#stamp.run(clock.epoch, clock.hlc, clock.origin, clock.version, clock.hash, ...key);
  }

  delete(key: readonly SqlValue[]): void {
    this.#delete.run(...key);
  }

  tombstone(keyBytes: Uint8Array): Tombstone | undefined {
    return readTombstone(this.#db, this.table.name, keyBytes);
  }

  putTombstone(keyBytes: Uint8Array, clock: Clock, app: string | undefined): void {
    putTombstone(this.#db, this.table.name, keyBytes, { ...clock, app });
  }

  dropTombstone(keyBytes: Uint8Array): void {
    dropTombstone(this.#db, this.table.name, keyBytes);
  }

  /** The app a row belongs to; undefined when there is no row, or its table names none. */
  appOf(key: readonly SqlValue[], values: readonly SqlValue[] | undefined): string | undefined {
    const { appIndex, appKeyIndex } = this.table;
    const app = appKeyIndex === -1 ? values?.[appIndex] : values && key[appKeyIndex];
    return app === null || app === undefined ? undefined : String(app);
  }

  /** The worker that a row with these values belongs to; undefined when it is nobody's, or its table knows no owners. */
  ownerOf(values: readonly SqlValue[] | undefined): string | undefined {
    return ownerName(values?.[this.table.ownerIndex]);
  }

  /** The same of a row that waits beside its table. */
  ownerAside({ state }: AsideRow): string | undefined {
    if (this.table.ownerIndex === -1) return undefined;
    return this.ownerOf(decodeState(this.table, state, state.length).values);
  }
}

/** A column's value as the name of an owner: empty and null are nobody's. */
export function ownerName(value: SqlValue | undefined): string | undefined {
  return value === null || value === undefined || value === "" ? undefined : String(value);
}

/**
 * What SQLite makes of a key's values when it stores them. Those that plainly stay as they are cost nothing; the others
 * go through a TEMP table with the key columns' affinities, so that the rules are SQLite's own.
 */
class KeyProbe {
  readonly #db: Database.Database;
  readonly #table: Table;
  #statements: Record<"insert" | "read" | "clear", Database.Statement> | undefined;

  constructor(db: Database.Database, table: Table) {
    this.#db = db;
    this.#table = table;
  }

  stored(key: readonly SqlValue[]): readonly SqlValue[] {
    const { keyAffinities } = this.#table;
    if (key.every((value, i) => isStoredAsIs(value, must(keyAffinities[i], "an affinity")))) return key;
    this.#create(); // Each time: a write that is rolled back takes a table that it created with it.
    const { insert, read, clear } = (this.#statements ??= this.#prepare());
    insert.run(...key);
    const stored = must(read.get(), "a key just written") as SqlValue[];
    clear.run();
    return stored;
  }

  get #name(): string {
    return `temp.${quoteName(`_patina_key_${this.#table.name}`)}`;
  }

  #create(): void {
    const columns = this.#table.key.map(quoteName).join(", ");
    const rows = `main.${quoteName(this.#table.rowsTable)}`;
    this.#db.exec(`CREATE TABLE IF NOT EXISTS ${this.#name} AS SELECT ${columns} FROM ${rows} WHERE 0`);
  }

  #prepare(): Record<"insert" | "read" | "clear", Database.Statement> {
    const { key } = this.#table;
    return {
      insert: this.#db.prepare(`INSERT INTO ${this.#name} VALUES (${key.map(() => "?").join(", ")})`),
      read: this.#db
        .prepare(`SELECT ${key.map(quoteName).join(", ")} FROM ${this.#name}`)
        .raw()
        .safeIntegers(true),
      clear: this.#db.prepare(`DELETE FROM ${this.#name}`),
    };
  }
}

/** Which columns differ between two states of a row. */
export function changedColumns(before: readonly SqlValue[], after: readonly SqlValue[]): number[] {
  const changed: number[] = [];
  for (let i = 0; i < after.length; i++) if (!isSameValue(before[i] ?? null, after[i] ?? null)) changed.push(i);
  return changed;
}

/** The clock at `row[at…]`; undefined while its hash is unset, which is what a fresh INSERT leaves. */
export function clockOf(row: readonly SqlValue[], at: number): HashedClock | undefined {
  const hash = row[at + 4];
  if (typeof hash !== "bigint") return undefined;
  return {
    epoch: Number(row[at]),
    hlc: row[at + 1] as bigint,
    origin: Number(row[at + 2]),
    version: Number(row[at + 3]),
    hash,
  };
}

/** The statements of every table, on one connection. */
export function rowsOf(db: Database.Database, tables: readonly Table[], waiting: Waiting): Map<string, TableRows> {
  return new Map(tables.map((table) => [table.name, new TableRows(db, table, waiting)]));
}

/** Every row of a table, for work that has to see them all: found as readers find them, through the key's index. */
export function* eachRow(
  db: Database.Database,
  table: Table,
  extras: Extras,
): Generator<StoredRow & { readonly key: readonly SqlValue[]; readonly keyBytes: Uint8Array }, void, void> {
  const keyColumns = table.key.map(quoteName);
  // The key comes first, so that SQLite takes it from the index before it goes to the row: a damaged entry shows.
  const columns = [...keyColumns, ...table.values.map(({ column }) => quoteName(column)), ...CLOCK_COLUMNS];
  const order = keyColumns.join(", ");
  const sql = `SELECT ${columns.join(", ")} FROM ${quoteName(table.rowsTable)} ORDER BY ${order}`;
  for (const row of db.prepare(sql).raw().safeIntegers(true).iterate() as Iterable<SqlValue[]>) {
    const key = row.slice(0, keyColumns.length);
    const keyBytes = encodeKey(key);
    const values = row.slice(keyColumns.length);
    const clock = clockOf(values, table.values.length);
    yield { key, keyBytes, values, clock, extras: extras.read(db, table.name, keyBytes) };
  }
}
