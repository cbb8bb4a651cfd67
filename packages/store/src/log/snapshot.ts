/**
 * All rows of this copy in pieces, for a member so far behind that the rows are less than what happened to them. Nothing is
 * held open between two pieces: rows change meanwhile, but only to greater stamps, so a reader that joins them all has, for
 * every version that was held when it began, what that version wrote or what has overwritten it.
 *
 * The order makes that true. Live rows come first, those waiting for a table next, the dead last: a row that is deleted while
 * the tables are read is among the dead by the time they are. With another schema the reading begins anew.
 *
 *   cursor := schema u32, phase u8, table text, key bytes
 */
import {
  ByteReader,
  ByteWriter,
  type Change,
  hash32,
  MalformedError,
  type OriginId,
  type SqlValue,
} from "@patina/base";
import type Database from "better-sqlite3";
import type { ClosedOrigins } from "./closed-origins.js";
import type { Origins } from "./origins.js";
import type { Marks } from "../rows/marks.js";
import { decodeKey, encodeBody, encodeKey, encodeState, type RowChange } from "../rows/row-codec.js";
import { type Clock, clockOf, type TableRows, type Waiting } from "../rows/rows.js";
import { CLOCK_COLUMNS, type Table } from "../database/layout.js";
import { quoteName } from "../sql/tokens.js";

export interface SnapshotParts {
  readonly db: Database.Database;
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly waiting: Waiting;
  readonly marks: Marks;
  readonly origins: Origins;
  readonly closed: ClosedOrigins;
  readonly schemaSql: string;
}

export interface SnapshotPiece {
  /** Rows by the version that wrote them; a version's others may be in other pieces. */
  readonly changes: readonly Change[];
  /** Where the next piece begins; undefined after the last. */
  readonly next: Uint8Array | undefined;
}

interface Cursor {
  readonly phase: number;
  readonly table: string;
  /** Empty at the beginning of a table. */
  readonly key: Uint8Array;
}

interface Read {
  readonly row: RowChange;
  /** Undefined for a row that went around the engine: it is nobody's, but the reading goes on after it. */
  readonly clock: Clock | undefined;
}

/** Phases, in order; the dead come between the last two. */
const [TABLES, ASIDE, END] = [0, 1, 3];
const ROWS_AT_A_TIME = 64;
const CURSOR_BYTES_MAX = 2 << 20;
const START: Cursor = { phase: TABLES, table: "", key: new Uint8Array() };

export class SnapshotReader {
  readonly #parts: SnapshotParts;
  readonly #schema: number;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
    this.#schema = hash32(parts.schemaSql);
  }

  /** The piece that begins at a cursor, or at the start: about `bytesMax` of rows. */
  piece(after: Uint8Array | undefined, bytesMax: number): SnapshotPiece {
    let cursor = after === undefined ? START : this.#decode(after);
    const groups = new Map<string, { origin: OriginId; index: number; version: number; rows: RowChange[] }>();
    let bytes = 0;
    while (cursor.phase < END && bytes < bytesMax) {
      const read = this.#read(cursor);
      for (const { row, clock } of read) {
        if (clock === undefined) continue;
        const id = `${clock.origin}:${clock.version}`;
        const origin = this.#parts.origins.originOf(clock.origin);
        const group = groups.get(id) ?? { origin, index: clock.origin, version: clock.version, rows: [] };
        group.rows.push(row);
        groups.set(id, group);
        bytes += row.key.length + (row.state?.length ?? 0) + row.table.length;
      }
      cursor = this.#following(cursor, read);
    }
    const changes = [...groups.values()].map(({ origin, index, version, rows }): Change => {
      const hlc = this.#parts.closed.stampOf(index, rows);
      return { origin, version, hlc, body: encodeBody(rows, hlc) };
    });
    return { changes, next: cursor.phase === END ? undefined : this.#encode(cursor) };
  }

  #following({ phase, table }: Cursor, read: readonly Read[]): Cursor {
    const last = read.at(-1)?.row;
    if (read.length === ROWS_AT_A_TIME && last !== undefined) return { phase, table: last.table, key: last.key };
    const names = phase === TABLES ? this.#tableNames() : [];
    const next = names.find((name) => name > table);
    return next === undefined ? { ...START, phase: phase + 1 } : { phase, table: next, key: START.key };
  }

  #tableNames(): string[] {
    return [...this.#parts.rows.keys()].sort();
  }

  #read(cursor: Cursor): Read[] {
    const { rows, marks, db } = this.#parts;
    const table = rows.get(cursor.table)?.table;
    const read = cursor.phase === TABLES ? (table === undefined ? [] : this.#live(table, cursor.key)) : cursor.phase === ASIDE ? this.#aside(cursor) : this.#dead(cursor); // prettier-ignore
    return read.map(({ row, clock }) => {
      const mark = marks.read(db, row.table, row.key, row.epoch);
      return { row: mark === undefined ? row : { ...row, ...mark }, clock };
    });
  }

  #live(table: Table, after: Uint8Array): Read[] {
    const { db, waiting } = this.#parts;
    const key = table.key.map(quoteName).join(", ");
    const columns = [key, ...table.values.map(({ column }) => quoteName(column)), ...CLOCK_COLUMNS].join(", ");
    const from = after.length === 0 ? "" : `WHERE (${key}) > (${table.key.map(() => "?").join(", ")})`;
    const sql = `SELECT ${columns} FROM ${quoteName(table.rowsTable)} ${from} ORDER BY ${key} LIMIT ${ROWS_AT_A_TIME}`;
    const found = this.#all(sql, after.length === 0 ? [] : decodeKey(after, CURSOR_BYTES_MAX));
    return found.map((each): Read => {
      const keyBytes = encodeKey(each.slice(0, table.key.length));
      const values = each.slice(table.key.length);
      const clock = clockOf(values, table.values.length);
      const state = encodeState(table, values, waiting.extras.read(db, table.name, keyBytes));
      const { epoch, hlc } = clock ?? { epoch: 0, hlc: 0n };
      return { row: { table: table.name, key: keyBytes, epoch, hlc, state }, clock };
    });
  }

  #aside({ table, key }: Cursor): Read[] {
    const columns = "tbl, key, epoch, hlc, origin, version, state";
    return this.#besides(`SELECT ${columns} FROM _patina_aside`, table, key).map(({ row, last, clock }) => {
      return { row: { ...row, state: last as Uint8Array }, clock };
    });
  }

  #dead({ table, key }: Cursor): Read[] {
    const columns = "tbl, key, epoch, hlc, origin, version, app";
    return this.#besides(`SELECT ${columns} FROM _patina_tombstones`, table, key).map(({ row, last, clock }) => {
      return { row: { ...row, state: undefined, app: typeof last === "string" ? last : undefined }, clock };
    });
  }

  #besides(select: string, table: string, key: Uint8Array) {
    const sql = `${select} WHERE (tbl, key) > (?, ?) ORDER BY tbl, key LIMIT ${ROWS_AT_A_TIME}`;
    return this.#all(sql, [table, key]).map(([tbl, keyBytes, epoch, hlc, origin, version, last]) => {
      const clock = { epoch: Number(epoch), hlc: hlc as bigint, origin: Number(origin), version: Number(version) };
      return { row: { table: tbl as string, key: keyBytes as Uint8Array, epoch: clock.epoch, hlc: clock.hlc }, last, clock }; // prettier-ignore
    });
  }

  #all(sql: string, params: readonly SqlValue[]): SqlValue[][] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#parts.db.prepare(sql).raw().safeIntegers(true);
      this.#statements.set(sql, statement);
    }
    return statement.all(...params) as SqlValue[][];
  }

  #encode({ phase, table, key }: Cursor): Uint8Array {
    return new ByteWriter().u32(this.#schema).u8(phase).text(table).bytes(key).done();
  }

  /** One that cannot be read is another release's: as with another schema, the reading begins anew. */
  #decode(bytes: Uint8Array): Cursor {
    try {
      const reader = new ByteReader(bytes);
      const schema = reader.u32();
      const cursor = { phase: reader.u8(), table: reader.text(CURSOR_BYTES_MAX), key: reader.bytes(CURSOR_BYTES_MAX) };
      return schema === this.#schema && reader.isAtEnd && this.#isPlace(cursor) ? cursor : START;
    } catch (thrown) {
      if (thrown instanceof MalformedError) return START;
      throw thrown;
    }
  }

  /** Throws `MalformedError` for a key that is none. */
  #isPlace({ phase, table, key }: Cursor): boolean {
    if (phase !== TABLES || key.length === 0) return phase < END;
    return decodeKey(key, CURSOR_BYTES_MAX).length === this.#parts.rows.get(table)?.table.key.length;
  }
}
