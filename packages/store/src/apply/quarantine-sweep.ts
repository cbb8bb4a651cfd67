/**
 * Lets out of quarantine what came to nothing. A change whose every row was written again later, or is of a table that was
 * dropped, would change nothing any more if it could be applied: this copy is what it would be then. While one change is in
 * quarantine nobody compares digests with this member, so none may stay longer than it says something.
 */
import { compareStamps, type Holdings, MalformedError, type Change } from "@patina/base";
import type Database from "better-sqlite3";
import type { DroppedNames } from "../schema/dropped-names.js";
import type { Origins } from "../log/origins.js";
import type { Quarantine, QuarantineCursor } from "./quarantine.js";
import type { Aside } from "../rows/aside.js";
import { decodeBody, decodeKey, type RowChange } from "../rows/row-codec.js";
import type { Clock, TableRows } from "../rows/rows.js";
import { readTombstone } from "../rows/tombstones.js";

export interface QuarantineSweepParts {
  readonly db: Database.Database;
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly aside: Aside;
  readonly dropped: DroppedNames;
  readonly origins: Origins;
  readonly quarantine: Quarantine;
  readonly rowsMax: number;
}

/** Changes looked at in one slice, of up to a transaction's size each; most are told by their first row. */
const SLICE_CHANGES = 4;

export class QuarantineSweep {
  readonly #parts: QuarantineSweepParts;
  /** Where the pass under way is. */
  #after: QuarantineCursor | undefined;
  /** What was held as the last pass began: with nothing new since, nothing can have been written again. */
  #seen: Holdings | undefined;

  constructor(parts: QuarantineSweepParts) {
    this.#parts = parts;
  }

  get isDue(): boolean {
    const { quarantine, origins } = this.#parts;
    return quarantine.count > 0 && (this.#after !== undefined || this.#seen !== origins.holdings());
  }

  /** Looks at the next few changes. Call it inside a transaction of its connection. */
  sweep(): void {
    const { quarantine, origins, db } = this.#parts;
    if (this.#after === undefined) this.#seen = origins.holdings();
    const changes = quarantine.next(this.#after, SLICE_CHANGES);
    for (const change of changes) {
      if (this.#isOver(change)) quarantine.drop(origins.indexOf(change.origin, db), change.version);
    }
    this.#after = changes.length < SLICE_CHANGES ? undefined : changes.at(-1);
  }

  #isOver(change: Change): boolean {
    try {
      const rows = decodeBody(change.body, change.hlc, this.#parts.rowsMax);
      return rows.every((row) => this.#parts.dropped.hasRow(row.table, row.hlc) || this.#isBeaten(change, row));
    } catch (thrown) {
      if (thrown instanceof MalformedError) return false; // Nobody knows what it says.
      throw thrown;
    }
  }

  #isBeaten({ origin, version }: Change, { table, key, epoch, hlc }: RowChange): boolean {
    const here = this.#clockOf(table, key);
    if (here === undefined) return false;
    const standing = { ...here, origin: this.#parts.origins.originOf(here.origin) };
    return compareStamps({ epoch, hlc, origin, version }, standing) <= 0;
  }

  #clockOf(table: string, keyBytes: Uint8Array): Clock | undefined {
    const { db, rows: tables, aside } = this.#parts;
    const rows = tables.get(table);
    const key = decodeKey(keyBytes, keyBytes.length);
    const row = rows?.table.key.length === key.length ? rows.read(key, keyBytes) : undefined;
    return row?.clock ?? aside.read(db, table, keyBytes)?.clock ?? readTombstone(db, table, keyBytes);
  }
}
