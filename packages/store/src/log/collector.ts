/**
 * Forgets tombstones that nobody needs any more: those of versions that are stable, a slice at a time. What an app's deleted
 * rows said of its high-water is kept, one row an app, since a summary must never seem older than it was.
 *
 * What was forgotten is noted by origin: a copy from before it cannot be brought up to date by what is left.
 *
 * A row that changed hands keeps its tombstone: forgotten here and not yet there, the row would come back in epoch 0 and lose
 * to what is left of it.
 */
import type { Hlc } from "@patina/base";
import type Database from "better-sqlite3";
import { dropMark } from "../rows/marks.js";
import { dropTombstone } from "../rows/tombstones.js";

type Row = [tbl: string, key: Buffer, hlc: Hlc, origin: bigint, version: bigint, app: string | null, hasCut: bigint];

export class Collector {
  readonly #db: Database.Database;
  readonly #next: Database.Statement;
  readonly #remember: Database.Statement;
  readonly #noteCollected: Database.Statement;
  /** By the origin's dense number, the version up to which it is stable. */
  #stable: ReadonlyMap<number, number> = new Map();
  #before: Hlc = 0n;
  /** Where the pass goes on; undefined between passes. */
  #after: readonly [tbl: string, key: Uint8Array] | undefined;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#next = db
      .prepare(
        `SELECT tbl, key, hlc, origin, version, app, EXISTS (
           SELECT 1 FROM _patina_marks AS mark
           WHERE mark.tbl = dead.tbl AND mark.key = dead.key AND mark.epoch = dead.epoch AND mark.hlc IS NOT NULL)
         FROM _patina_tombstones AS dead WHERE (tbl, key) > (?, ?)
         ORDER BY tbl, key LIMIT ?`,
      )
      .raw()
      .safeIntegers(true);
    this.#remember = db.prepare(
      `INSERT INTO _patina_app_high VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET hlc = max(hlc, excluded.hlc)`,
    );
    this.#noteCollected = db.prepare(
      "INSERT INTO _patina_collected VALUES (?, ?) ON CONFLICT DO UPDATE SET version = max(version, excluded.version)",
    );
  }

  get isDue(): boolean {
    return this.#after !== undefined;
  }

  /** Tombstones of these versions, stamped before that, may go: a pass over them begins, unless one is under way. */
  begin(stable: ReadonlyMap<number, number>, before: Hlc): void {
    this.#stable = stable;
    this.#before = before;
    this.#after ??= ["", new Uint8Array()];
  }

  /** Looks at some tombstones and drops what may go. Call it inside a transaction of its connection. */
  sweep(rowsMax: number): void {
    if (this.#after === undefined) return;
    const rows = this.#next.all(...this.#after, rowsMax) as Row[];
    for (const row of rows) if (this.#mayGo(row)) this.#drop(row);
    const last = rows.at(-1);
    this.#after = last === undefined || rows.length < rowsMax ? undefined : [last[0], last[1]];
  }

  #mayGo([, , hlc, origin, version, , hasCut]: Row): boolean {
    if (hasCut !== 0n) return false;
    return hlc < this.#before && Number(version) <= (this.#stable.get(Number(origin)) ?? 0);
  }

  #drop([tbl, key, hlc, origin, version, app]: Row): void {
    this.#noteCollected.run(origin, version);
    if (app !== null) this.#remember.run(tbl, app, hlc);
    dropTombstone(this.#db, tbl, key);
    dropMark(this.#db, tbl, key);
  }
}
