/**
 * The oracle: what a store must show, computed by the book. Bodies are decoded here a second time, from the format's
 * description alone, and of all that was applied the greatest stamp of each key wins. Nothing of the store's own
 * decoding, comparing or joining is used.
 */
import { ByteReader, type Change, type OriginId, readValue, type SqlValue } from "@patina/base";

/** One row of a change. `cells` undefined is a tombstone; columns at their default are left out. */
export interface BookRow {
  readonly table: string;
  readonly key: readonly SqlValue[];
  readonly stamp: readonly [epoch: number, hlc: bigint, origin: OriginId, version: number];
  readonly cells: ReadonlyMap<string, SqlValue> | undefined;
  /** Of a tombstone: whose row it was. */
  readonly owner?: string;
  /** What its epoch replaced: in the row's order of states, its epoch is the one before. */
  readonly cut?: readonly [hlc: bigint, origin: OriginId, version: number];
  /** Its cells could not be read. That matters only when it wins. */
  readonly isUnreadable?: true;
}

const TOMBSTONE = 1;
const OWN_HLC = 2;
const APP = 4;
const OWNER = 8;
const CUT = 16;
const ORIGIN_DIGITS = 48;
const BYTES_MAX = 1 << 24;

/** The rows of a change's body. Throws whatever the reader throws when the bytes are not what the format says. */
export function readBody({ origin, version, hlc, body }: Change): BookRow[] {
  const reader = new ByteReader(body);
  const rows: BookRow[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const flags = reader.u8();
    const epoch = reader.varint();
    const own = (flags & OWN_HLC) === 0 ? hlc : reader.u64();
    const table = reader.text(BYTES_MAX);
    const keyReader = new ByteReader(reader.bytes(BYTES_MAX));
    const key: SqlValue[] = [];
    while (!keyReader.isAtEnd) key.push(readValue(keyReader, BYTES_MAX));
    const state = (flags & TOMBSTONE) === 0 ? reader.bytes(BYTES_MAX) : undefined;
    if ((flags & APP) !== 0) reader.text(BYTES_MAX);
    const owner = (flags & OWNER) === 0 ? {} : { owner: reader.text(BYTES_MAX) };
    const cut = (flags & CUT) === 0 ? {} : { cut: [reader.u64(), reader.hex(ORIGIN_DIGITS), reader.varint()] as const };
    rows.push({ table, key, stamp: [epoch, own, origin, version], ...readState(state), ...owner, ...cut });
  }
  if (!reader.isAtEnd) throw new Error("bytes after the last row");
  return rows;
}

function readState(state: Uint8Array | undefined): Pick<BookRow, "cells" | "isUnreadable"> {
  if (state === undefined) return { cells: undefined };
  const reader = new ByteReader(state);
  try {
    const cells = readCells(reader);
    return reader.isAtEnd ? { cells } : { cells, isUnreadable: true };
  } catch {
    return { cells: new Map(), isUnreadable: true };
  }
}

function readCells(reader: ByteReader): Map<string, SqlValue> {
  const cells = new Map<string, SqlValue>();
  for (let left = reader.varint(); left > 0; left--) cells.set(reader.text(BYTES_MAX), readValue(reader, BYTES_MAX));
  return cells;
}

/** A value as text that keeps types apart: 1, 1.0, '1' and x'31' are four values. */
export function textOf(value: SqlValue | undefined): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "bigint") return `i${value}`;
  if (typeof value === "number") return Object.is(value, -0) ? "r-0" : `r${value}`;
  return typeof value === "string" ? JSON.stringify(value) : `x${Buffer.from(value).toString("hex")}`;
}

export function idOf(row: { readonly table: string; readonly key: readonly SqlValue[] }): string {
  return `${row.table}(${row.key.map(textOf).join(",")})`;
}

export function isGreater(a: BookRow["stamp"], b: BookRow["stamp"]): boolean {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as string, b[i] as string]; // Numbers compare alike; only the type has to be one.
    if (x !== y) return x > y;
  }
  return false;
}

/** The applied set of one store: what it holds, and of each key the row of the greatest stamp. */
export class Book {
  readonly winners = new Map<string, BookRow>();
  readonly held = new Map<OriginId, Set<number>>();
  /** By origin, the head that the state depends on. */
  readonly owed = new Map<OriginId, number>();
  /** The greatest stamp issued or applied. */
  high = 0n;

  clone(): Book {
    const copy = new Book();
    for (const [id, row] of this.winners) copy.winners.set(id, row);
    for (const [origin, versions] of this.held) copy.held.set(origin, new Set(versions));
    for (const [origin, head] of this.owed) copy.owed.set(origin, head);
    copy.high = this.high;
    return copy;
  }

  holds(origin: OriginId, version: number): boolean {
    return this.held.get(origin)?.has(version) === true;
  }

  hold(origin: OriginId, version: number): void {
    const versions = this.held.get(origin);
    if (versions === undefined) this.held.set(origin, new Set([version]));
    else versions.add(version);
  }

  /** Joins what a change says, once; the rows that won. */
  apply(change: Change): BookRow[] {
    if (this.holds(change.origin, change.version)) return [];
    this.hold(change.origin, change.version);
    if (change.hlc > this.high) this.high = change.hlc;
    return readBody(change).filter((row) => this.join(row));
  }

  join(row: BookRow): boolean {
    const last = this.winners.get(idOf(row));
    if (last !== undefined && !isGreater(row.stamp, last.stamp)) return false;
    if (row.isUnreadable) throw new Error(`a row that cannot be read has won: ${idOf(row)}`);
    this.winners.set(idOf(row), row);
    return true;
  }

  owe(origin: OriginId, head: number): void {
    if (head > (this.owed.get(origin) ?? 0)) this.owed.set(origin, head);
  }

  /** By origin, the head that is held or owed, whichever is more. */
  basis(): Map<OriginId, number> {
    const basis = new Map(this.owed);
    for (const [origin, versions] of this.held) {
      basis.set(origin, Math.max(basis.get(origin) ?? 0, ...versions));
    }
    return basis;
  }

  get isWhole(): boolean {
    return [...this.owed].every(([origin, head]) => {
      for (let version = 1; version <= head; version++) if (!this.holds(origin, version)) return false;
      return true;
    });
  }

  /** Everything held, as one comparable text. */
  heldText(): string {
    const texts = [...this.held].map(([origin, versions]) => `${origin}:${[...versions].sort((a, b) => a - b).join()}`);
    return texts.sort().join(" ");
  }

  /** The live rows with their stamps, as one comparable text: two states are equal when these are. */
  stateText(fill: (row: BookRow) => string): string {
    const live = [...this.winners.values()].filter(({ cells }) => cells !== undefined);
    return live.map((row) => `${idOf(row)}@${row.stamp.join("/")}=${fill(row)}`).sort().join("\n"); // prettier-ignore
  }
}
