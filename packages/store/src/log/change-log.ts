/**
 * The change log: the keys of the rows that each version wrote. An index on each row's (origin, version) would say the same,
 * but it moves an entry on every write, from a random page to another, and costs more than the row itself. Here a version
 * appends one entry for all its rows (a few for a large one); a row that was written again later is dead in it, is skipped when read, and is
 * swept away in the background.
 *
 *   write ─► append (origin, version, keys)       read: does the row's clock still say this version? else it is dead
 *   sweep: when there may be a quarter as many dead keys as living ones, some versions at a time, from the oldest on and around again
 *
 *   keys := (table text, count, key bytes…)…
 */
import { ByteReader, ByteWriter } from "@patina/base";
import type Database from "better-sqlite3";
import type { Aside } from "../rows/aside.js";
import type { Marks } from "../rows/marks.js";
import { decodeKey, encodeState, type RowChange } from "../rows/row-codec.js";
import type { Clock, TableRows } from "../rows/rows.js";
import { SharedStatement } from "../database/shared-statement.js";
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

type Entry = [origin: number, version: number, part: number, count: number, keys: Buffer];

/** Dead keys are let be until there are more of them than this, and than this share of the living. */
const DEAD_SHARE = 0.25;
const DEAD_MIN = 2000;
const NAME_BYTES_MAX = 1024;
/** An entry's keys, about: in a table WITHOUT ROWID, a longer one would take a page of its own beside the tree's. */
const ENTRY_BYTES_MAX = 900;

/** Parts of a version from here on were noted one by one, not by the version itself. */
const MORE_FROM = 1 << 20;

const APPEND = new SharedStatement("INSERT OR REPLACE INTO _patina_log VALUES (?, ?, ?, ?, ?)");
const writer = new ByteWriter(4096);

export class ChangeLog {
  readonly #db: Database.Database;
  readonly #rows: ReadonlyMap<string, TableRows>;
  readonly #aside: Aside;
  readonly #marks: Marks;
  readonly #read: Database.Statement;
  readonly #next: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #replace: Database.Statement;
  readonly #lastPart: Database.Statement;
  #keys: number;
  /** Keys known to be alive when the last sweep ended; before the first, most of them are taken to be. */
  #alive: number;
  #swept: { after: readonly [origin: number, version: number, part: number]; kept: number } | undefined;

  /** `db` and `rows` are those it reads and sweeps with; it appends on whichever connection writes. */
  constructor(db: Database.Database, rows: ReadonlyMap<string, TableRows>, aside: Aside, marks: Marks) {
    this.#db = db;
    this.#rows = rows;
    this.#aside = aside;
    this.#marks = marks;
    const columns = "SELECT origin, version, part, count, keys FROM _patina_log";
    this.#read = db.prepare(`${columns} WHERE origin = ? AND version BETWEEN ? AND ? ORDER BY version, part`).raw();
    this.#next = db
      .prepare(`${columns} WHERE (origin, version, part) > (?, ?, ?) ORDER BY origin, version, part LIMIT 1`)
      .raw();
    this.#drop = db.prepare("DELETE FROM _patina_log WHERE origin = ? AND version = ? AND part = ?");
    this.#replace = db.prepare(
      "UPDATE _patina_log SET count = ?, keys = ? WHERE origin = ? AND version = ? AND part = ?",
    );
    this.#lastPart = db
      .prepare("SELECT coalesce(max(part), -1) FROM _patina_log WHERE origin = ? AND version = ?")
      .pluck();
    this.#keys = Number(db.prepare("SELECT coalesce(sum(count), 0) FROM _patina_log").pluck().get());
    this.#alive = this.#keys / (1 + DEAD_SHARE);
  }

  /** Notes which rows a version wrote. Call it inside the transaction that wrote them. */
  append(db: Database.Database, origin: number, version: number, keys: readonly LoggedKey[]): void {
    this.#appendFrom(0, db, origin, version, keys);
  }

  /**
   * Notes more rows of a version, beside those noted before. They are numbered apart: the version as a whole may still come,
   * and must not take their place.
   */
  appendMore(db: Database.Database, origin: number, version: number, keys: readonly LoggedKey[]): void {
    if (keys.length === 0) return;
    const part = Math.max(MORE_FROM, Number(this.#lastPart.get(origin, version)) + 1);
    this.#appendFrom(part, db, origin, version, keys);
  }

  #appendFrom(first: number, db: Database.Database, origin: number, version: number, keys: readonly LoggedKey[]): void {
    const append = APPEND.on(db);
    for (let part = first, at = 0; at < keys.length; part++) {
      const end = entryEnd(keys, at);
      append.run(origin, version, part, end - at, encodeKeys(keys.slice(at, end)));
      at = end;
    }
    this.#keys += keys.length; // After a rollback it counts a few too many, which only makes a sweep come sooner.
  }

  /** What versions `low` to `high` of an origin still say, by version. */
  *read(origin: number, low: number, high: number): Generator<LoggedRow, void, void> {
    for (const entry of this.#read.iterate(origin, low, high) as Iterable<Entry>) {
      for (const key of decodeKeys(entry[4])) {
        const row = this.#look(origin, entry[1], key);
        if (row !== undefined) yield { version: entry[1], row };
      }
    }
  }

  /** Whether there may be enough dead keys to be worth a sweep. */
  get needsSweep(): boolean {
    return this.#swept !== undefined || this.#keys > this.#alive * (1 + DEAD_SHARE) + DEAD_MIN;
  }

  /** Looks at some keys, an entry's at least, and drops the dead. Call it inside a transaction of its connection. */
  sweep(keysMax: number): void {
    const swept = this.#swept ?? { after: [-1, 0, 0], kept: 0 };
    let left = keysMax;
    while (left > 0) {
      const entry = this.#next.get(...swept.after) as Entry | undefined;
      if (entry === undefined) {
        this.#alive = swept.kept;
        this.#keys = swept.kept;
        this.#swept = undefined;
        return;
      }
      const [origin, version, part, count] = entry;
      left -= count;
      swept.kept += this.#sweepEntry(entry);
      swept.after = [origin, version, part];
    }
    this.#swept = swept;
  }

  /** How many of the entry's keys are alive. */
  #sweepEntry([origin, version, part, count, bytes]: Entry): number {
    const alive = decodeKeys(bytes).filter((key) => this.#look(origin, version, key) !== undefined);
    if (alive.length === 0) this.#drop.run(origin, version, part);
    else if (alive.length < count) this.#replace.run(alive.length, encodeKeys(alive), origin, version, part);
    this.#keys -= count - alive.length;
    return alive.length;
  }

  /** What the row says, if that is what the version wrote. */
  #look(origin: number, version: number, logged: LoggedKey): RowChange | undefined {
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

/** Where the entry that begins at a key ends: it has one key at least. */
function entryEnd(keys: readonly LoggedKey[], start: number): number {
  let bytes = 0;
  let end = start;
  do bytes += (keys[end++] as LoggedKey).key.length + 1;
  while (end < keys.length && bytes < ENTRY_BYTES_MAX);
  return end;
}

function encodeKeys(keys: readonly LoggedKey[]): Uint8Array {
  writer.reset();
  for (let at = 0; at < keys.length;) {
    const { table } = keys[at] as LoggedKey;
    let end = at + 1;
    while (keys[end]?.table === table) end++;
    writer.text(table).varint(end - at);
    for (; at < end; at++) writer.bytes((keys[at] as LoggedKey).key);
  }
  return writer.done();
}

function decodeKeys(bytes: Uint8Array): LoggedKey[] {
  const reader = new ByteReader(bytes);
  const keys: LoggedKey[] = [];
  while (!reader.isAtEnd) {
    const table = reader.text(NAME_BYTES_MAX);
    for (let left = reader.count(bytes.length); left > 0; left--) keys.push({ table, key: reader.bytes(bytes.length) });
  }
  return keys;
}
