/**
 * Rows as bytes: the body of a change, and the bytes a row's hash is taken of.
 *
 *   body   := count, row…
 *   row    := flags u8 (1 = tombstone, 2 = own hlc, 4 = app, 8 = owner, 16 = cut), epoch, [hlc u64], table text, key bytes,
 *             [state bytes], [app text], [owner text], [cut: hlc u64, origin 24 bytes, version]
 *   key    := value…                                 in key order
 *   state  := count, (column text, value)…           sorted by name; columns at their default are left out
 *
 * Leaving defaults out is what makes an added column free: until somebody writes it, no row's bytes or hash change.
 */
import {
  ByteReader,
  ByteWriter,
  type Cut,
  type Hlc,
  MalformedError,
  must,
  ORIGIN_ID_LENGTH,
  readHlc,
  readValue,
  type SqlValue,
  type Stamp,
  VERSION_MAX,
  writeValue,
} from "@patina/base";
import xxhash from "xxhash-wasm";
import type { Extra } from "./extras.js";
import type { Table } from "../database/layout.js";

/** One row of a change. `state` undefined is a tombstone. */
export interface RowChange {
  readonly table: string;
  readonly key: Uint8Array;
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly state: Uint8Array | undefined;
  /** Of a tombstone: the app its row belonged to, for those who never saw the row. */
  readonly app?: string | undefined;
  /** Of a tombstone: whose row it was. */
  readonly owner?: string | undefined;
  /** What the row's epoch replaced, in every state of an epoch that began with another owner. */
  readonly cut?: Cut | undefined;
}

const TOMBSTONE = 1;
const OWN_HLC = 2;
const APP = 4;
const OWNER = 8;
const CUT = 16;

const scratch = new ByteWriter(4096);

export function encodeKey(key: readonly SqlValue[]): Uint8Array {
  scratch.reset();
  for (const value of key) writeValue(scratch, value);
  return copied(scratch.view());
}

/** A copy from Node's pool of small buffers: an array buffer for each row would cost more than all else about it. */
function copied(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Names a row in a map. */
export function rowId(table: string, key: Uint8Array): string {
  return `${table}\0${Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1")}`;
}

export function decodeKey(bytes: Uint8Array, bytesMax: number): SqlValue[] {
  const reader = new ByteReader(bytes);
  const key: SqlValue[] = [];
  while (!reader.isAtEnd) key.push(readValue(reader, bytesMax));
  return key;
}

/** What the codec must know of a table. */
export type Shape = Pick<Table, "name" | "values">;

/** Stands for a table that is not here: of its states, only the form can be checked. */
export const NO_TABLE: Shape = { name: "a table not here", values: [] };

/** `values` in the order of `table.values`. An extra stands for its column, too, when the table has one. */
export function encodeState(table: Shape, values: readonly SqlValue[], extras: readonly Extra[] = []): Uint8Array {
  return copied(writeState(table, values, extras));
}

/** What `encodeState` gives, without a copy: only until the next row is encoded. */
function writeState(table: Shape, values: readonly SqlValue[], extras: readonly Extra[]): Uint8Array {
  if (extras.length > 0) return writeMerged(table, values, extras);
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
  return scratch.view();
}

function writeMerged(table: Shape, values: readonly SqlValue[], extras: readonly Extra[]): Uint8Array {
  const all = new Map<string, SqlValue>();
  table.values.forEach(({ name }, i) => {
    if (!isDefault(table, i, values[i] ?? null)) all.set(name, values[i] ?? null);
  });
  for (const [name, value] of extras) all.set(name, value);
  scratch.reset().varint(all.size);
  const sorted = [...all].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  for (const [name, value] of sorted) writeValue(scratch.text(name), value);
  return scratch.view();
}

export interface DecodedState {
  /** In the order of `table.values`, defaults filled in. */
  readonly values: SqlValue[];
  /** What the table has no column for, and what would be left out here though it was not where it was written. */
  readonly extras: Extra[];
}

/**
 * A state as its table takes it. Throws `MalformedError` for bytes that no member of any schema would write: one state in
 * two forms would have two hashes.
 */
export function decodeState(table: Shape, state: Uint8Array, bytesMax: number): DecodedState {
  const columns = table.values;
  const values = columns.map(({ defaultValue }) => defaultValue);
  const extras: Extra[] = [];
  let next = 0; // Columns come in the order of their names, so one pass finds them all.
  const reader = new ByteReader(state);
  for (let left = reader.count(STATE_COLUMNS_MAX); left > 0; left--) {
    const name = reader.bytes(NAME_BYTES_MAX);
    let at = next;
    while (at < columns.length && Buffer.compare(must(columns[at], "a column").nameBytes, name) !== 0) at++;
    const value = readValue(reader, bytesMax);
    if (at < columns.length) next = at + 1;
    if (at === columns.length || isDefault(table, at, value)) extras.push([Buffer.from(name).toString(), value]);
    else values[at] = value;
  }
  if (Buffer.compare(writeState(table, values, extras), state) !== 0) {
    throw new MalformedError(`a state of ${table.name} that is not in its one form`);
  }
  return { values, extras };
}

/** SQLite's own default limit. */
const STATE_COLUMNS_MAX = 2000;
/** Of a table's or a column's name: no reader takes a longer one. */
export const NAME_BYTES_MAX = 1024;

export function encodeBody(rows: readonly RowChange[], changeHlc: Hlc): Uint8Array {
  const writer = new ByteWriter(512);
  writer.varint(rows.length);
  for (const row of rows) {
    const ownHlc = row.hlc !== changeHlc;
    const app = row.state === undefined ? row.app : undefined;
    const owner = row.state === undefined ? row.owner : undefined;
    const kind = (row.state === undefined ? TOMBSTONE : 0) | (app === undefined ? 0 : APP);
    const ownership = (owner === undefined ? 0 : OWNER) | (row.cut === undefined ? 0 : CUT);
    writer.u8(kind | (ownHlc ? OWN_HLC : 0) | ownership);
    writer.varint(row.epoch);
    if (ownHlc) writer.u64(row.hlc);
    writer.text(row.table).bytes(row.key);
    if (row.state !== undefined) writer.bytes(row.state);
    if (app !== undefined) writer.text(app);
    if (owner !== undefined) writer.text(owner);
    if (row.cut !== undefined) writer.u64(row.cut.hlc).hex(row.cut.origin).varint(row.cut.version);
  }
  return writer.done();
}

/** Keys and states are views of `body`, not copies. */
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
  const table = reader.text(NAME_BYTES_MAX);
  const key = reader.bytes(bytesMax);
  const state = (flags & TOMBSTONE) !== 0 ? undefined : reader.bytes(bytesMax);
  const app = (flags & APP) !== 0 ? reader.text(bytesMax) : undefined;
  const owner = (flags & OWNER) !== 0 ? reader.text(bytesMax) : undefined;
  const cut = (flags & CUT) !== 0 ? readCut(reader) : undefined;
  return { table, key, epoch, hlc, state, app, owner, cut };
}

function readCut(reader: ByteReader): Cut {
  const hlc = readHlc(reader);
  const origin = reader.hex(ORIGIN_ID_LENGTH);
  const version = reader.varint();
  if (version < 1 || version > VERSION_MAX) throw new MalformedError(`version ${version} in a cut`);
  return { hlc, origin, version };
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

/**
 * XXH64 over what the row is and when it was written, as SQLite's signed integer: equal hashes mean the same state of the
 * same row. It finds accidents, not malice: whoever could forge it could as well write the row.
 */
export function rowHash(table: string, key: Uint8Array, stamp: Stamp, state: Uint8Array): bigint {
  hashed.reset().text(table).bytes(key).varint(stamp.epoch).u64(stamp.hlc).hex(stamp.origin).varint(stamp.version);
  return BigInt.asIntN(64, hashOf(hashed.raw(state).view()));
}

/** XXH64, unsigned. */
export function hashOf(bytes: Uint8Array): bigint {
  return xxh.h64Raw(bytes);
}

const xxh = await xxhash();
const hashed = new ByteWriter(4096);

function isDefault(table: Shape, index: number, value: SqlValue): boolean {
  const byDefault = table.values[index]?.defaultValue ?? null;
  if (value instanceof Uint8Array) return byDefault instanceof Uint8Array && Buffer.compare(value, byDefault) === 0;
  return value === byDefault && !Object.is(value, -0);
}
