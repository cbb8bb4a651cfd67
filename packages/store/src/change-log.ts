/**
 * The change log: which rows a version wrote, by key. An index on each row's (origin, version) would say the same, but it
 * moves an entry on every write, from a random page to another, and costs more than the row itself. Here a write only
 * appends; an entry whose row was written again later is dead, is skipped when read, and is swept away in the background.
 *
 *   write ─► append (origin, version, table, key)          read: is the row's clock still this entry's? else it is dead
 *   sweep: when dead entries may outnumber the living, a slice at a time, from the oldest on and around again
 */
import { must } from "@patina/base";
import type Database from "better-sqlite3";
import { decodeKey } from "./row-codec.js";
import type { Clock, HashedClock, StoredRow, TableRows, Tombstone } from "./rows.js";

/** What an entry's row says now: a state or a tombstone. */
export interface LoggedRow {
  readonly version: number;
  readonly rows: TableRows;
  readonly key: Uint8Array;
  readonly row: (StoredRow & { readonly clock: HashedClock }) | undefined;
  readonly tombstone: Tombstone | undefined;
}

type Entry = [origin: bigint, version: bigint, table: string, key: Buffer];

/** Dead entries are let be until there are more of them than this, and than there are living ones. */
const DEAD_MIN = 10_000;
const KEY_BYTES_MAX = 1 << 20;

export class ChangeLog {
  readonly #rows: ReadonlyMap<string, TableRows>;
  readonly #appends = new Map<Database.Database, Database.Statement>();
  readonly #read: Database.Statement;
  readonly #next: Database.Statement;
  readonly #drop: Database.Statement;
  #entries: number;
  /** Entries known to be alive when the last sweep ended; before the first, half of them are taken to be. */
  #alive: number;
  #swept: { after: Entry; kept: number } | undefined;

  /** `db` and `rows` are those it reads and sweeps with; it appends on whichever connection writes. */
  constructor(db: Database.Database, rows: ReadonlyMap<string, TableRows>) {
    this.#rows = rows;
    const raw = (sql: string): Database.Statement => db.prepare(sql).raw().safeIntegers(true);
    this.#read = raw(
      "SELECT origin, version, tbl, key FROM _patina_log WHERE origin = ? AND version BETWEEN ? AND ? ORDER BY version, tbl, key",
    );
    this.#next = raw(
      `SELECT origin, version, tbl, key FROM _patina_log WHERE (origin, version, tbl, key) > (?, ?, ?, ?)
       ORDER BY origin, version, tbl, key LIMIT ?`,
    );
    this.#drop = db.prepare("DELETE FROM _patina_log WHERE origin = ? AND version = ? AND tbl = ? AND key = ?");
    this.#entries = Number(must(raw("SELECT count(*) FROM _patina_log").get() as [bigint] | undefined, "a count")[0]);
    this.#alive = this.#entries / 2;
  }

  /** Notes that a version wrote a row. Call it inside the transaction that wrote it. */
  append(db: Database.Database, table: string, key: Uint8Array, { origin, version }: Clock): void {
    let statement = this.#appends.get(db);
    if (statement === undefined) {
      statement = db.prepare("INSERT OR IGNORE INTO _patina_log VALUES (?, ?, ?, ?)");
      this.#appends.set(db, statement);
    }
    statement.run(origin, version, table, key);
    this.#entries++; // After a rollback it counts a few too many, which only makes a sweep come sooner.
  }

  /** What versions `low` to `high` of an origin still say, by version. */
  *read(origin: number, low: number, high: number): Generator<LoggedRow, void, void> {
    for (const entry of this.#read.iterate(origin, low, high) as Iterable<Entry>) {
      const logged = this.#look(entry);
      if (logged !== undefined) yield logged;
    }
  }

  /** Whether dead entries may outnumber the living. */
  get needsSweep(): boolean {
    return this.#swept !== undefined || this.#entries > this.#alive * 2 + DEAD_MIN;
  }

  /** Looks at some entries and drops the dead. Call it inside a transaction of the connection it reads with. */
  sweep(entriesMax: number): void {
    const swept = this.#swept ?? { after: [-1n, 0n, "", Buffer.alloc(0)], kept: 0 };
    const entries = this.#next.all(...swept.after, entriesMax) as Entry[];
    for (const entry of entries) {
      if (this.#look(entry) !== undefined) swept.kept++;
      else {
        this.#drop.run(...entry);
        this.#entries--;
      }
    }
    const last = entries.at(-1);
    if (last === undefined || entries.length < entriesMax) {
      this.#alive = swept.kept;
      this.#entries = Math.max(this.#entries, swept.kept);
      this.#swept = undefined;
    } else this.#swept = { after: last, kept: swept.kept };
  }

  /** The row an entry is about, while it still says what the entry's version wrote. */
  #look([origin, version, table, key]: Entry): LoggedRow | undefined {
    const rows = this.#rows.get(table);
    if (rows === undefined) return undefined;
    const isIts = (clock: Clock): boolean => clock.origin === Number(origin) && clock.version === Number(version);
    const row = rows.read(decodeKey(key, KEY_BYTES_MAX));
    if (row?.clock !== undefined) {
      if (!isIts(row.clock)) return undefined;
      return { version: Number(version), rows, key, row: { ...row, clock: row.clock }, tombstone: undefined };
    }
    const tombstone = rows.tombstone(key);
    if (tombstone === undefined || !isIts(tombstone)) return undefined;
    return { version: Number(version), rows, key, row: undefined, tombstone };
  }
}
