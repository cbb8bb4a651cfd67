/**
 * Rows of tables that this schema does not have yet, as they came: joined, counted in the digest and passed on like any
 * other, and moved into the table when a schema brings it.
 */
import type { Hlc } from "@patina/base";
import type Database from "better-sqlite3";
import type { HashedClock } from "./rows.js";
import { SharedStatement } from "../database/shared-statement.js";

export interface AsideRow {
  readonly clock: HashedClock;
  readonly state: Uint8Array;
}

interface AsidePage {
  readonly after: Uint8Array | undefined;
  readonly before: Hlc | undefined;
  readonly rowsMax: number;
}

/** SQLite's greatest integer. */
const LAST = (1n << 63n) - 1n;

interface WaitingRow {
  readonly key: Uint8Array;
  readonly row: AsideRow;
}

const COLUMNS = "key, epoch, hlc, origin, version, hash, state";
const READ = new SharedStatement(`SELECT ${COLUMNS} FROM _patina_aside WHERE tbl = ? AND key = ?`);
const ALL = new SharedStatement(`SELECT ${COLUMNS} FROM _patina_aside WHERE tbl = ? ORDER BY key`);
const PAGE = new SharedStatement(
  `SELECT ${COLUMNS} FROM _patina_aside WHERE tbl = ? AND key > ? AND hlc < ? ORDER BY key LIMIT ?`,
);
const PUT = new SharedStatement("INSERT OR REPLACE INTO _patina_aside VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
const DROP = new SharedStatement("DELETE FROM _patina_aside WHERE tbl = ? AND key = ?");

interface Stored {
  readonly key: Buffer;
  readonly epoch: bigint;
  readonly hlc: Hlc;
  readonly origin: bigint;
  readonly version: bigint;
  readonly hash: bigint;
  readonly state: Buffer;
}

export class Aside {
  /** Tables some row of which may wait: hardly ever any, and then a row costs no look-up. */
  readonly #tables: Set<string>;

  constructor(db: Database.Database) {
    this.#tables = new Set(db.prepare("SELECT DISTINCT tbl FROM _patina_aside").pluck().all() as string[]);
  }

  read(db: Database.Database, table: string, key: Uint8Array): AsideRow | undefined {
    if (!this.#tables.has(table)) return undefined;
    const row = READ.on(db).safeIntegers(true).get(table, key) as Stored | undefined;
    return row && asideRow(row);
  }

  put(db: Database.Database, table: string, key: Uint8Array, { clock, state }: AsideRow): void {
    this.#tables.add(table);
    PUT.on(db).run(table, key, clock.epoch, clock.hlc, clock.origin, clock.version, clock.hash, state);
  }

  drop(db: Database.Database, table: string, key: Uint8Array): void {
    if (this.#tables.has(table)) DROP.on(db).run(table, key);
  }

  /** Some of a table's rows that are stamped before `before`, in the order of their keys, from after `after` on. */
  page(db: Database.Database, table: string, { after, before, rowsMax }: AsidePage): WaitingRow[] {
    if (!this.#tables.has(table)) return [];
    const rows = PAGE.on(db)
      .safeIntegers(true)
      .all(table, after ?? Buffer.alloc(0), before ?? LAST, rowsMax) as Stored[];
    return rows.map((row) => ({ key: row.key, row: asideRow(row) }));
  }

  /** Tables that rows wait for. */
  tables(): string[] {
    return [...this.#tables].sort();
  }

  rows(db: Database.Database, table: string): WaitingRow[] {
    if (!this.#tables.has(table)) return [];
    const rows = ALL.on(db).safeIntegers(true).all(table) as Stored[];
    return rows.map((row) => ({ key: row.key, row: asideRow(row) }));
  }
}

function asideRow({ epoch, hlc, origin, version, hash, state }: Stored): AsideRow {
  return { clock: { epoch: Number(epoch), hlc, origin: Number(origin), version: Number(version), hash }, state };
}
