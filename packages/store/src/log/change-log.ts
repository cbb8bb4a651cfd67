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
import { ByteWriter } from "@patina/base";
import type Database from "better-sqlite3";
import { SharedStatement } from "../database/shared-statement.js";
import { decodeKeys, type LoggedKey, type LogReader } from "./log-reader.js";

type Entry = [origin: number, version: number, part: number, count: number, keys: Buffer];

/** Dead keys are let be until there are more of them than this, and than this share of the living. */
const DEAD_SHARE = 0.25;
const DEAD_MIN = 2000;
/** An entry's keys, about: in a table WITHOUT ROWID, a longer one would take a page of its own beside the tree's. */
const ENTRY_BYTES_MAX = 900;

/** Parts of a version from here on were noted one by one, not by the version itself. */
const MORE_FROM = 1 << 20;

const APPEND = new SharedStatement("INSERT OR REPLACE INTO _patina_log VALUES (?, ?, ?, ?, ?)");
const writer = new ByteWriter(4096);

export class ChangeLog {
  readonly #reader: LogReader;
  readonly #next: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #replace: Database.Statement;
  readonly #lastPart: Database.Statement;
  #keys: number;
  /** Keys known to be alive when the last sweep ended; before the first, most of them are taken to be. */
  #alive: number;
  #swept: { after: readonly [origin: number, version: number, part: number]; kept: number } | undefined;

  /** `reader` looks rows up on the connection that this sweeps with, `db`; it appends on whichever connection writes. */
  constructor(db: Database.Database, reader: LogReader) {
    this.#reader = reader;
    this.#next = db
      .prepare(
        `SELECT origin, version, part, count, keys FROM _patina_log
         WHERE (origin, version, part) > (?, ?, ?) ORDER BY origin, version, part LIMIT 1`,
      )
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
    const alive = decodeKeys(bytes).filter((key) => this.#reader.look(origin, version, key) !== undefined);
    if (alive.length === 0) this.#drop.run(origin, version, part);
    else if (alive.length < count) this.#replace.run(alive.length, encodeKeys(alive), origin, version, part);
    this.#keys -= count - alive.length;
    return alive.length;
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
