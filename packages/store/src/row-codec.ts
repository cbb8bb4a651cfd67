/**
 * Rows as bytes: the body of a change, and the bytes a row's hash is taken of.
 *
 *   body   := count, row…
 *   row    := flags u8 (1 = tombstone, 2 = own hlc, 4 = app), epoch, [hlc u64], table text, key bytes, [state bytes], [app text]
 *   key    := value…                                 in key order
 *   state  := count, (column text, value)…           sorted by name; columns at their default are left out
 *
 * Leaving defaults out is what makes an added column free: until somebody writes it, no row's bytes or hash change.
 */
import { hash } from "node:crypto";
import {
  ByteReader,
  ByteWriter,
  type Hlc,
  MalformedError,
  must,
  readHlc,
  readValue,
  type SqlValue,
  type Stamp,
  writeValue,
} from "@patina/base";
import type { Table } from "./layout.js";

/** One row of a change. `state` undefined is a tombstone. */
export interface RowChange {
  readonly table: string;
  readonly key: Uint8Array;
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly state: Uint8Array | undefined;
  /** Of a tombstone: the app its row belonged to, for those who never saw the row. */
  readonly app?: string | undefined;
}

const TOMBSTONE = 1;
const OWN_HLC = 2;
const APP = 4;

export const HASH_BYTES = 32;

const scratch = new ByteWriter(4096);

export function encodeKey(key: readonly SqlValue[]): Uint8Array {
  scratch.reset();
  for (const value of key) writeValue(scratch, value);
  return scratch.done();
}

export function decodeKey(bytes: Uint8Array, bytesMax: number): SqlValue[] {
  const reader = new ByteReader(bytes);
  const key: SqlValue[] = [];
  while (!reader.isAtEnd) key.push(readValue(reader, bytesMax));
  return key;
}

/** `values` in the order of `table.values`. */
export function encodeState(table: Table, values: readonly SqlValue[]): Uint8Array {
  scratch.reset();
  let written = 0;
  for (let i = 0; i < table.values.length; i++) if (!isDefault(table, i, values[i] ?? null)) written++;
  scratch.varint(written);
  for (let i = 0; i < table.values.length; i++) {
    const value = values[i] ?? null;
    if (isDefault(table, i, value)) continue;
    scratch.bytes(must(table.values[i], "a column").nameBytes);
    writeValue(scratch, value);
  }
  return scratch.done();
}

/**
 * Values in the order of `table.values`, defaults filled in. Throws `UnknownColumnError` for a column this schema does
 * not have: the writer's is newer, and dropping the value would lose it.
 */
export function decodeState(table: Table, state: Uint8Array, bytesMax: number): SqlValue[] {
  const columns = table.values;
  const values = columns.map(({ defaultValue }) => defaultValue);
  let next = 0; // Columns come in the order of their names, so one pass finds them all.
  const reader = new ByteReader(state);
  for (let left = reader.count(table.values.length + 1024); left > 0; left--) {
    const name = reader.bytes(1024);
    while (next < columns.length && Buffer.compare(must(columns[next], "a column").nameBytes, name) !== 0) next++;
    if (next === columns.length) throw new UnknownColumnError(`${table.name}.${Buffer.from(name).toString()}`);
    values[next++] = readValue(reader, bytesMax);
  }
  return values;
}

/** A change names a table or column that this node's schema does not have yet. */
export class UnknownColumnError extends Error {
  constructor(what: string) {
    super(`this schema has no ${what}`);
    this.name = "UnknownColumnError";
  }
}

export function encodeBody(rows: readonly RowChange[], changeHlc: Hlc): Uint8Array {
  const writer = new ByteWriter(512);
  writer.varint(rows.length);
  for (const row of rows) {
    const ownHlc = row.hlc !== changeHlc;
    const app = row.state === undefined ? row.app : undefined;
    writer.u8((row.state === undefined ? TOMBSTONE : 0) | (ownHlc ? OWN_HLC : 0) | (app === undefined ? 0 : APP));
    writer.varint(row.epoch);
    if (ownHlc) writer.u64(row.hlc);
    writer.text(row.table).bytes(row.key);
    if (row.state !== undefined) writer.bytes(row.state);
    if (app !== undefined) writer.text(app);
  }
  return writer.done();
}

export function decodeBody(body: Uint8Array, changeHlc: Hlc, rowsMax: number): RowChange[] {
  const reader = new ByteReader(body);
  const rows: RowChange[] = [];
  for (let left = reader.count(rowsMax); left > 0; left--) rows.push(readRow(reader, changeHlc, body.length));
  if (!reader.isAtEnd) throw new MalformedError("bytes after the last row");
  return rows;
}

function readRow(reader: ByteReader, changeHlc: Hlc, bytesMax: number): RowChange {
  const flags = reader.u8();
  const epoch = reader.varint();
  const hlc = (flags & OWN_HLC) !== 0 ? readHlc(reader) : changeHlc;
  const table = reader.text(1024);
  const key = reader.bytes(bytesMax).slice();
  const state = (flags & TOMBSTONE) !== 0 ? undefined : reader.bytes(bytesMax).slice();
  const app = (flags & APP) !== 0 ? reader.text(bytesMax) : undefined;
  return { table, key, epoch, hlc, state, app };
}

/** The tables that a change's rows are of, as far as `start`, the beginning of its bytes, can be read. Never throws. */
export function tablesNamed(start: Uint8Array): string[] {
  const tables = new Set<string>();
  const reader = new ByteReader(start);
  try {
    for (let left = reader.varint(); left > 0; left--) tables.add(readRow(reader, 0n, Number.MAX_SAFE_INTEGER).table);
  } catch (thrown) {
    if (!(thrown instanceof MalformedError)) throw thrown; // What cannot be read further names nothing more.
  }
  return [...tables];
}

/** SHA-256 over what the row is and when it was written: equal hashes mean the same state of the same row. */
export function rowHash(table: string, key: Uint8Array, stamp: Stamp, state: Uint8Array): Buffer {
  hashed.reset().text(table).bytes(key).varint(stamp.epoch).u64(stamp.hlc).hex(stamp.origin).varint(stamp.version);
  return hash("sha256", hashed.raw(state).view(), "buffer");
}

const hashed = new ByteWriter(4096);

function isDefault(table: Table, index: number, value: SqlValue): boolean {
  const byDefault = table.values[index]?.defaultValue ?? null;
  return value === byDefault && !Object.is(value, -0);
}
