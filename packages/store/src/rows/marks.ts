/**
 * What a row's state carries beside its values: the cut of its epoch, and of a deleted row whose it was. It stays for as
 * long as the epoch does, goes out with every state of it, and is no part of the row's hash: a state has one mark, ever.
 */
import type { Cut, Hlc } from "@patina/base";
import type Database from "better-sqlite3";
import { SharedStatement } from "../database/shared-statement.js";

export interface Mark {
  readonly cut: Cut | undefined;
  /** Of a tombstone only; a live row says so itself. */
  readonly owner: string | undefined;
}

const READ = new SharedStatement("SELECT owner, hlc, origin, version FROM _patina_marks WHERE tbl = ? AND key = ? AND epoch = ?"); // prettier-ignore
const PUT = new SharedStatement("INSERT OR REPLACE INTO _patina_marks VALUES (?, ?, ?, ?, ?, ?, ?)");
const DROP = new SharedStatement("DELETE FROM _patina_marks WHERE tbl = ? AND key = ?");

interface Stored {
  readonly owner: string | null;
  readonly hlc: Hlc | null;
  readonly origin: string | null;
  readonly version: bigint | null;
}

export class Marks {
  /** Tables some row of which may have one: without owners none has, and then a row costs no look-up. */
  readonly #tables: Set<string>;

  constructor(db: Database.Database) {
    this.#tables = new Set(db.prepare("SELECT DISTINCT tbl FROM _patina_marks").pluck().all() as string[]);
  }

  /** The mark of the row's state of that epoch. */
  read(db: Database.Database, table: string, key: Uint8Array, epoch: number): Mark | undefined {
    if (!this.#tables.has(table)) return undefined;
    const row = READ.on(db).safeIntegers(true).get(table, key, epoch) as Stored | undefined;
    if (row === undefined) return undefined;
    const { owner, hlc, origin, version } = row;
    const cut = hlc === null || origin === null ? undefined : { hlc, origin, version: Number(version) };
    return { cut, owner: owner ?? undefined };
  }

  /** The row's state has changed, and this is its mark. */
  put(db: Database.Database, table: string, key: Uint8Array, epoch: number, { cut, owner }: Mark): void {
    if (cut === undefined && owner === undefined) {
      if (this.#tables.has(table)) DROP.on(db).run(table, key);
      return;
    }
    this.#tables.add(table);
    PUT.on(db).run(table, key, epoch, owner ?? null, cut?.hlc ?? null, cut?.origin ?? null, cut?.version ?? null);
  }
}

/** The row is forgotten, and its mark with it. */
export function dropMark(db: Database.Database, table: string, key: Uint8Array): void {
  DROP.on(db).run(table, key);
}
