/**
 * Changes that could not be applied, put aside with the reason: the statements of that one table. What is here counts as
 * held and is passed on to peers as it came, since their schema may take it.
 *
 *   apply fails ─► put ─► listed, passed on ─► tried again when the schema changes, or when somebody says so ─► dropped
 *                                          ├─► all its rows were written again ─► dropped
 *                                          └─► given up by somebody ─► dropped, and says nothing any more
 */
import { type Change, type Hlc, type OriginId, type Range, Ranges } from "@patina/base";
import type Database from "better-sqlite3";
import type { Mirror } from "../database/transactions.js";
import type { Origins } from "../log/origins.js";
import { tablesNamed } from "../rows/row-codec.js";

export interface QuarantinedChange {
  readonly origin: OriginId;
  readonly version: number;
  readonly hlc: Hlc;
  readonly reason: string;
  /** The tables it writes, as far as its bytes can be read. */
  readonly tables: readonly string[];
  readonly bytes: number;
}

/** Where a page ended: the next begins after it. */
export interface QuarantineCursor {
  readonly origin: OriginId;
  readonly version: number;
}

/** How much of a change is looked at for the tables it names: a list must stay cheap, whatever is in it. */
const LOOK_BYTES = 16 << 10;

export class Quarantine implements Mirror {
  readonly #origins: Origins;
  /** What is here, counted when somebody asks and kept up from then on: nobody reads all of it for that again and again. */
  #size: { readonly count: number; readonly bytes: number } | undefined;
  readonly #put: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #window: Database.Statement;
  readonly #list: Database.Statement;
  readonly #next: Database.Statement;
  readonly #measure: Database.Statement;
  readonly #bytesOf: Database.Statement;
  readonly #versions: Database.Statement;

  constructor(db: Database.Database, origins: Origins) {
    this.#origins = origins;
    const raw = (sql: string): Database.Statement => db.prepare(sql).raw().safeIntegers(true);
    const after = "FROM _patina_quarantine WHERE (origin, version) > (?, ?) ORDER BY origin, version LIMIT ?";
    this.#put = db.prepare("INSERT INTO _patina_quarantine VALUES (?, ?, ?, ?, ?)");
    this.#drop = db.prepare("DELETE FROM _patina_quarantine WHERE origin = ? AND version = ?");
    this.#window = raw(
      "SELECT version, hlc, body FROM _patina_quarantine WHERE origin = ? AND version BETWEEN ? AND ?",
    );
    this.#list = raw(
      `SELECT origin, version, hlc, reason, length(body), coalesce(substr(body, 1, ${LOOK_BYTES}), x'') ${after}`,
    );
    this.#next = raw(`SELECT origin, version, hlc, body ${after}`);
    this.#versions = db.prepare("SELECT version FROM _patina_quarantine WHERE origin = ?").pluck();
    this.#measure = db.prepare(
      "SELECT count(*) AS count, coalesce(sum(length(body)), 0) AS bytes FROM _patina_quarantine",
    );
    this.#bytesOf = db.prepare("SELECT length(body) FROM _patina_quarantine WHERE origin = ? AND version = ?").pluck();
  }

  /** Call it inside the transaction that holds the version. `origin` must be numbered already. */
  put(origin: number, { version, hlc, body }: Change, reason: string): void {
    this.drop(origin, version);
    const { count, bytes } = this.#measured();
    this.#put.run(origin, version, hlc, reason, body);
    this.#size = { count: count + 1, bytes: bytes + body.length };
  }

  /** False when it was not there. */
  drop(origin: number, version: number): boolean {
    const { count, bytes } = this.#measured();
    const gone = count === 0 ? undefined : (this.#bytesOf.get(origin, version) as number | undefined);
    if (gone === undefined) return false;
    this.#drop.run(origin, version);
    this.#size = { count: count - 1, bytes: bytes - gone };
    return true;
  }

  /** The same by its names, of an origin that may never have been heard of. */
  discard({ origin, version }: QuarantineCursor): boolean {
    const index = this.#origins.knownIndex(origin);
    return index !== undefined && this.drop(index, version);
  }

  get count(): number {
    return this.#measured().count;
  }

  get bytes(): number {
    return this.#measured().bytes;
  }

  /** What was counted may have been undone. */
  reload(): void {
    this.#size = undefined;
  }

  /** Nothing waits in memory to be written. */
  flush(): void {}

  #measured(): { readonly count: number; readonly bytes: number } {
    return (this.#size ??= this.#measure.get() as { count: number; bytes: number });
  }

  /** Versions of an origin that are here. */
  versions(origin: OriginId): Ranges {
    const index = this.#origins.knownIndex(origin);
    if (index === undefined) return Ranges.empty;
    return Ranges.from((this.#versions.all(index) as number[]).map((version): Range => [version, version]));
  }

  /** Versions `low` to `high` of an origin with their bytes, to be passed on. */
  read(origin: OriginId, index: number, low: number, high: number): Change[] {
    return (this.#window.all(index, low, high) as [bigint, bigint, Buffer][]).map(([version, hlc, body]) => {
      return { origin, version: Number(version), hlc, body };
    });
  }

  /** A page of what is here, without the bytes, by origin and version. */
  list(after: QuarantineCursor | undefined, limit: number): QuarantinedChange[] {
    type Row = [bigint, bigint, bigint, string, bigint, Buffer];
    return (this.#list.all(...this.#place(after), limit) as Row[]).map(
      ([origin, version, hlc, reason, bytes, start]) => ({
        origin: this.#origins.originOf(Number(origin)),
        version: Number(version),
        hlc,
        reason,
        tables: tablesNamed(start),
        bytes: Number(bytes),
      }),
    );
  }

  /** The changes that follow, with their bytes: no more than `changesMax`. */
  next(after: QuarantineCursor | undefined, changesMax: number): Change[] {
    const rows = this.#next.all(...this.#place(after), changesMax) as [bigint, bigint, bigint, Buffer][];
    return rows.map(([origin, version, hlc, body]) => {
      return { origin: this.#origins.originOf(Number(origin)), version: Number(version), hlc, body };
    });
  }

  #place(after: QuarantineCursor | undefined): [number, number] {
    if (after === undefined) return [-1, 0];
    return [this.#origins.knownIndex(after.origin) ?? -1, after.version];
  }
}
