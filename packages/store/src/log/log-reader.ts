/**
 * What versions still say: the log names the rows that each wrote, and a row's clock tells whether that is what stands there.
 * It only reads, so it serves a connection that must not write as well.
 */
import { ByteReader } from "@patina/base";
import type Database from "better-sqlite3";
import type { Aside } from "../rows/aside.js";
import type { Marks } from "../rows/marks.js";
import { decodeKey, encodeState, NAME_BYTES_MAX, type RowChange } from "../rows/row-codec.js";
import type { Clock, TableRows } from "../rows/rows.js";
import { readTombstone } from "../rows/tombstones.js";

/** A row that a version wrote. */
export interface LoggedKey {
  readonly table: string;
  readonly key: Uint8Array;
}

/** What a logged row says now, while that is still what its version wrote. */
export interface LoggedRow {
  readonly version: number;
  readonly row: RowChange;
}

export class LogReader {
  readonly #db: Database.Database;
  readonly #rows: ReadonlyMap<string, TableRows>;
  readonly #aside: Aside;
  readonly #marks: Marks;
  readonly #read: Database.Statement;

  constructor(db: Database.Database, rows: ReadonlyMap<string, TableRows>, aside: Aside, marks: Marks) {
    this.#db = db;
    this.#rows = rows;
    this.#aside = aside;
    this.#marks = marks;
    this.#read = db
      .prepare(
        "SELECT version, keys FROM _patina_log WHERE origin = ? AND version BETWEEN ? AND ? ORDER BY version, part",
      )
      .raw();
  }

  /** What versions `low` to `high` of an origin still say, by version. */
  *read(origin: number, low: number, high: number): Generator<LoggedRow, void, void> {
    for (const [version, keys] of this.#read.iterate(origin, low, high) as Iterable<[number, Buffer]>) {
      for (const key of decodeKeys(keys)) {
        const row = this.look(origin, version, key);
        if (row !== undefined) yield { version, row };
      }
    }
  }

  /** What the row says, if that is what the version wrote. */
  look(origin: number, version: number, logged: LoggedKey): RowChange | undefined {
    const row = this.#lookUp(origin, version, logged);
    const mark = row && this.#marks.read(this.#db, row.table, row.key, row.epoch);
    return row && mark ? { ...row, ...mark } : row;
  }

  #lookUp(origin: number, version: number, { table, key }: LoggedKey): RowChange | undefined {
    const isIts = (clock: Clock): boolean => clock.origin === origin && clock.version === version;
    const rows = this.#rows.get(table);
    const columns = decodeKey(key, key.length);
    const row = rows?.table.key.length === columns.length ? rows.read(columns, key) : undefined;
    if (rows !== undefined && row?.clock !== undefined) {
      if (!isIts(row.clock)) return undefined;
      const { epoch, hlc } = row.clock;
      return { table, key, epoch, hlc, state: encodeState(rows.table, row.values, row.extras) };
    }
    const waiting = this.#aside.read(this.#db, table, key);
    if (waiting !== undefined && isIts(waiting.clock)) {
      const { epoch, hlc } = waiting.clock;
      return { table, key, epoch, hlc, state: waiting.state };
    }
    const tombstone = readTombstone(this.#db, table, key);
    if (tombstone === undefined || !isIts(tombstone)) return undefined;
    const { epoch, hlc, app } = tombstone;
    return { table, key, epoch, hlc, state: undefined, app };
  }
}

/** The keys of a log entry, as `ChangeLog` writes them. */
export function decodeKeys(bytes: Uint8Array): LoggedKey[] {
  const reader = new ByteReader(bytes);
  const keys: LoggedKey[] = [];
  while (!reader.isAtEnd) {
    const table = reader.text(NAME_BYTES_MAX);
    for (let left = reader.count(bytes.length); left > 0; left--) keys.push({ table, key: reader.bytes(bytes.length) });
  }
  return keys;
}
