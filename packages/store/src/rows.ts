/** The statements that read and write one table's rows and clocks, prepared once per connection. */
import { AppError, type Hlc, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { type Affinity, isSameValue, isStoredAsIs } from "./affinity.js";
import { CLOCK_COLUMNS, type Table } from "./layout.js";
import { quoteName } from "./sql/tokens.js";

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

export interface StoredRow {
  /** In the order of `table.values`; what comes after those is not theirs. */
  readonly values: readonly SqlValue[];
  /** Undefined for a row that has just been inserted and not stamped yet. */
  readonly clock: HashedClock | undefined;
}

export interface Tombstone extends Clock {
  readonly app: string | undefined;
}

/** Different sets of columns that updates touch: programs write the same few. */
const UPDATES_CACHED_MAX = 64;

export class TableRows {
  readonly table: Table;
  readonly #read: Database.Statement;
  readonly #upsert: Database.Statement;
  readonly #stamp: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #readTombstone: Database.Statement;
  readonly #putTombstone: Database.Statement;
  readonly #dropTombstone: Database.Statement;
  readonly #keyProbe: KeyProbe;
  readonly #db: Database.Database;
  /** Updates by the columns they set, most recently made last. */
  readonly #updates = new Map<string, Database.Statement>();

  constructor(db: Database.Database, table: Table) {
    this.#db = db;
    this.table = table;
    const rows = quoteName(table.rowsTable);
    const values = table.values.map(({ name }) => quoteName(name));
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
    this.#readTombstone = db.prepare(
      "SELECT epoch, hlc, origin, version, app FROM _patina_tombstones WHERE tbl = ? AND key = ?",
    );
    this.#readTombstone.raw().safeIntegers(true);
    this.#putTombstone = db.prepare("INSERT OR REPLACE INTO _patina_tombstones VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#dropTombstone = db.prepare("DELETE FROM _patina_tombstones WHERE tbl = ? AND key = ?");
    this.#keyProbe = new KeyProbe(db, table);
  }

  /** The key as the table would keep it: a column's type may turn 5 into '5'. Its bytes must be those that are kept. */
  storedKey(key: readonly SqlValue[]): readonly SqlValue[] {
    return this.#keyProbe.stored(key);
  }

  read(key: readonly SqlValue[]): StoredRow | undefined {
    const row = this.#read.get(...key) as SqlValue[] | undefined;
    if (row === undefined) return undefined;
    return { values: row, clock: clockOf(row, this.table.values.length) };
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
    const columns = changed.map((column) => quoteName(must(values[column], "a column").name)).concat(CLOCK_COLUMNS);
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

  tombstone(key: Uint8Array): Tombstone | undefined {
    const row = this.#readTombstone.get(this.table.name, key) as
      [bigint, bigint, bigint, bigint, string | null] | undefined;
    if (row === undefined) return undefined;
    const [epoch, hlc, origin, version, app] = row;
    return { epoch: Number(epoch), hlc, origin: Number(origin), version: Number(version), app: app ?? undefined };
  }

  putTombstone(key: Uint8Array, clock: Clock, app: string | undefined): void {
    const { epoch, hlc, origin, version } = clock;
    this.#putTombstone.run(this.table.name, key, epoch, hlc, origin, version, app ?? null);
  }

  dropTombstone(key: Uint8Array): void {
    this.#dropTombstone.run(this.table.name, key);
  }

  /** The app a row belongs to; undefined when there is no row, or its table names none. */
  appOf(key: readonly SqlValue[], values: readonly SqlValue[] | undefined): string | undefined {
    const { appIndex, appKeyIndex } = this.table;
    const app = appKeyIndex === -1 ? values?.[appIndex] : values && key[appKeyIndex];
    return app === null || app === undefined ? undefined : String(app);
  }
}

/**
 * What SQLite makes of a key's values when it stores them. Those that plainly stay as they are cost nothing; the others
 * go through a TEMP table with the key columns' affinities, so that the rules are SQLite's own.
 */
class KeyProbe {
  readonly #affinities: readonly Affinity[];
  readonly #insert: Database.Statement;
  readonly #read: Database.Statement;
  readonly #clear: Database.Statement;

  constructor(db: Database.Database, { name, rowsTable, key, keyAffinities }: Table) {
    const probe = `temp.${quoteName(`_patina_key_${name}`)}`;
    const columns = key.map(quoteName).join(", ");
    db.exec(`CREATE TABLE ${probe} AS SELECT ${columns} FROM main.${quoteName(rowsTable)} WHERE 0`);
    this.#affinities = keyAffinities;
    this.#insert = db.prepare(`INSERT INTO ${probe} VALUES (${key.map(() => "?").join(", ")})`);
    this.#read = db.prepare(`SELECT ${columns} FROM ${probe}`).raw().safeIntegers(true);
    this.#clear = db.prepare(`DELETE FROM ${probe}`);
  }

  stored(key: readonly SqlValue[]): readonly SqlValue[] {
    if (key.every((value, i) => isStoredAsIs(value, must(this.#affinities[i], "an affinity")))) return key;
    this.#insert.run(...key);
    const stored = must(this.#read.get(), "a key just written") as SqlValue[];
    this.#clear.run();
    return stored;
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Refuses a key whose text is not valid Unicode. SQLite keeps such bytes as they are and JavaScript reads them back as
 * U+FFFD, so the row could never be found by its key again.
 */
export function assertKeyText(key: readonly SqlValue[]): void {
  for (const value of key) {
    if (typeof value !== "string" || !(value.includes("\ufffd") || LONE_SURROGATE.test(value))) continue;
    throw new AppError("bad-request", "a key's text is not valid Unicode", { hint: "Send it as UTF-8." });
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
