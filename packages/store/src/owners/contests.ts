/**
 * What was found about whose rows these are, kept for whoever asks: this member's own writes that were fenced, and rows
 * that two owners claim in one epoch, until their epoch moves on. Both are bounded: beyond `recordsMax` the oldest record
 * goes. Nothing is decided by them.
 */
import type { DoubtfulRow, FencedWrite } from "@patina/base";
import type Database from "better-sqlite3";
import { decodeKey } from "../rows/row-codec.js";
import { SharedStatement } from "../database/shared-statement.js";

const FENCE = new SharedStatement("INSERT OR IGNORE INTO _patina_fenced (tbl, key, origin, version, owner, epoch) VALUES (?, ?, ?, ?, ?, ?)"); // prettier-ignore
const TRIM_FENCED = new SharedStatement("DELETE FROM _patina_fenced WHERE seq <= (SELECT max(seq) FROM _patina_fenced) - ?"); // prettier-ignore
const DOUBT = new SharedStatement("INSERT OR REPLACE INTO _patina_doubtful (tbl, key, epoch, owner, other) VALUES (?, ?, ?, ?, ?)"); // prettier-ignore
const TRIM_DOUBTFUL = new SharedStatement("DELETE FROM _patina_doubtful WHERE seq <= (SELECT max(seq) FROM _patina_doubtful) - ?"); // prettier-ignore
const READ_DOUBT = new SharedStatement("SELECT tbl, key, epoch, owner, other FROM _patina_doubtful WHERE tbl = ? AND key = ?"); // prettier-ignore
const SETTLE = new SharedStatement("DELETE FROM _patina_doubtful WHERE tbl = ? AND key = ?");

interface Stored {
  readonly tbl: string;
  readonly key: Buffer;
  readonly epoch: number;
  readonly owner: string | null;
}
type StoredDoubt = Stored & { readonly other: string | null };
type StoredFence = Stored & { readonly origin: string; readonly version: number };

export class Contests {
  readonly #recordsMax: number;
  /** There may be doubtful rows: hardly ever, and then a row costs no look-up. */
  #mayDoubt: boolean;

  constructor(db: Database.Database, recordsMax: number) {
    this.#recordsMax = recordsMax;
    this.#mayDoubt = db.prepare("SELECT 1 FROM _patina_doubtful LIMIT 1").get() !== undefined;
  }

  /** Keeps a write of this member's. */
  fence(db: Database.Database, key: Uint8Array, { table, origin, version, owner, epoch }: FencedWrite): void {
    FENCE.on(db).run(table, key, origin, version, owner ?? null, epoch);
    TRIM_FENCED.on(db).run(this.#recordsMax);
  }

  /** False when these two were known to claim the row in this epoch. */
  doubt(db: Database.Database, key: Uint8Array, { table, epoch, owner, other }: DoubtfulRow): boolean {
    const known = READ_DOUBT.on(db).get(table, key) as StoredDoubt | undefined;
    const pair = [owner ?? null, other ?? null];
    const isNew = known?.epoch !== epoch || !pair.includes(known.owner) || !pair.includes(known.other);
    this.#mayDoubt = true;
    DOUBT.on(db).run(table, key, epoch, ...pair);
    if (isNew) TRIM_DOUBTFUL.on(db).run(this.#recordsMax);
    return isNew;
  }

  isDoubtful(db: Database.Database, table: string, key: Uint8Array, epoch: number): boolean {
    if (!this.#mayDoubt) return false;
    return (READ_DOUBT.on(db).get(table, key) as StoredDoubt | undefined)?.epoch === epoch;
  }

  /** The row's epoch has moved on, or the row is gone. */
  settle(db: Database.Database, table: string, key: Uint8Array): void {
    if (this.#mayDoubt) SETTLE.on(db).run(table, key);
  }

  doubtfulCount(db: Database.Database): number {
    return this.#mayDoubt ? Number(db.prepare("SELECT count(*) FROM _patina_doubtful").pluck().get()) : 0;
  }

  /** The oldest first. */
  doubtful(db: Database.Database): DoubtfulRow[] {
    const rows = db.prepare("SELECT tbl, key, epoch, owner, other FROM _patina_doubtful ORDER BY seq").all();
    return (rows as StoredDoubt[]).map(({ other, ...row }) => {
      return { kind: "doubtful", ...recordOf(row), other: other ?? undefined };
    });
  }

  /** The oldest first. */
  fenced(db: Database.Database): FencedWrite[] {
    const sql = "SELECT tbl, key, origin, version, owner, epoch FROM _patina_fenced ORDER BY seq";
    return (db.prepare(sql).all() as StoredFence[]).map(({ origin, version, ...row }) => {
      return { kind: "fenced", ...recordOf(row), origin, version, isOurs: true };
    });
  }
}

function recordOf({ tbl, key, epoch, owner }: Stored): Pick<FencedWrite, "table" | "key" | "epoch" | "owner"> {
  return { table: tbl, key: decodeKey(key, key.length), epoch, owner: owner ?? undefined };
}
