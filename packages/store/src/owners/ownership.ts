/**
 * Who may write a row, and what a change of hands is: the rule for local writes, and what is noted when states meet.
 *
 *   the row is                     a write by worker w may
 *   its own                        change it, delete it, name another owner (a hand-over), or nobody (a release)
 *   nobody's, or not there         change it, take it, put it there for itself or for nobody
 *   another's                      nothing, but for a claim: w takes it over
 *
 * Whenever the owner is another than in the last state, deleted ones included, the epoch is one more and the state
 * carries the cut. So of all states of an epoch the owner is one, unless two took the row without knowing of each other.
 */
import {
  AppError,
  type DoubtfulRow,
  type FencedWrite,
  type Ownership,
  type OwnershipConflict,
  type SqlValue,
  valueToJson,
} from "@patina/base";
import type Database from "better-sqlite3";
import { Contests } from "./contests.js";
import { type Contender, isDoubtful, isFenced, type Self } from "./fence.js";
import { type Mark, Marks } from "../rows/marks.js";
import type { Origins } from "../log/origins.js";
import type { Pending } from "../rows/pending.js";
import { encodeKey, type RowChange } from "../rows/row-codec.js";
import type { TableRows } from "../rows/rows.js";

/** Where two states met. */
export interface Place {
  readonly table: string;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
}

const NO_MARK: Mark = { cut: undefined, owner: undefined };

export class Owners {
  readonly self: Self;
  readonly marks: Marks;
  readonly contests: Contests;
  /** Found where no caller waits to be told: the next outcome says it. */
  readonly untold: OwnershipConflict[] = [];
  readonly #db: Database.Database;
  readonly #origins: Origins;

  constructor(db: Database.Database, self: Self, origins: Origins, recordsMax: number) {
    this.#db = db;
    this.self = self;
    this.marks = new Marks(db);
    this.contests = new Contests(db, recordsMax);
    this.#origins = origins;
  }

  /** What was found about whose rows these are: rows two claim, and this node's own writes that were fenced. */
  conflicts(): { readonly doubtful: readonly DoubtfulRow[]; readonly fenced: readonly FencedWrite[] } {
    return { doubtful: this.contests.doubtful(this.#db), fenced: this.contests.fenced(this.#db) };
  }

  doubtfulCount(): number {
    return this.contests.doubtfulCount(this.#db);
  }

  /** Gives a local write its epoch and mark. Throws `not-owner` when it is not this worker's to make. */
  admit(db: Database.Database, row: Pending): Pending {
    const { table } = row.rows;
    if (table.ownerIndex === -1) return withMark(row, this.marks.read(db, table.name, row.keyBytes, row.epoch));
    if (row.hlc !== undefined) throw ordered(table.name);
    const isThere = row.before !== undefined;
    const buried = row.isBuried ? row.rows.tombstone(row.keyBytes) : undefined;
    const last = row.before ?? buried;
    const mark = last && this.marks.read(db, table.name, row.keyBytes, last.epoch);
    const owner = isThere ? row.ownerBefore : mark?.owner;
    const next = row.state === undefined ? owner : row.rows.ownerOf(row.values);
    if (isThere) this.#assertMayWrite(row, owner);
    if (next !== undefined && next !== this.self.worker && !(isThere && owner === this.self.worker)) {
      throw notOwner(row, next, "would be");
    }
    if (last === undefined) return row;
    if (next === owner && row.isClaim !== true) return withMark({ ...row, epoch: last.epoch }, mark);
    const cut = { hlc: last.hlc, origin: this.#origins.originOf(last.origin), version: last.version };
    return withMark({ ...row, epoch: last.epoch + 1, beginsEpoch: true }, { cut, owner: undefined });
  }

  /** Notes the mark of a row that was just written, and settles a doubt that its epoch ends, or its end. */
  note(db: Database.Database, { rows, keyBytes, epoch, mark, beginsEpoch, state }: Pending): void {
    const { name } = rows.table;
    this.marks.put(db, name, keyBytes, epoch, mark ?? NO_MARK);
    if (beginsEpoch === true || state === undefined) this.contests.settle(db, name, keyBytes);
  }

  /** Notes the mark of a row that has arrived and won, and settles a doubt that its epoch ends, or its end. */
  arrive(db: Database.Database, row: RowChange, epochBefore: number | undefined): void {
    const { table, key, epoch, cut, owner, state } = row;
    this.marks.put(db, table, key, epoch, { cut, owner });
    if (epoch !== epochBefore || state === undefined) this.contests.settle(db, table, key);
  }

  /** Two states of a row have met, and the stamps have decided. What there is to tell. */
  meet(db: Database.Database, place: Place, winner: Contender, loser: Contender): OwnershipConflict[] {
    const { table, key, keyBytes } = place;
    const { owner } = winner;
    const { epoch } = winner.stamp;
    if (epoch === loser.stamp.epoch && owner === loser.owner && owner !== this.self.worker) return [];
    const conflicts: OwnershipConflict[] = [];
    if (isDoubtful(winner, loser)) {
      const found = { kind: "doubtful", table, key, epoch, owner, other: loser.owner } as const;
      if (this.contests.doubt(db, keyBytes, found)) conflicts.push(found);
    }
    if (isFenced(winner, loser, this.self)) {
      const { origin, version } = loser.stamp;
      const isOurs = origin.startsWith(this.self.node);
      const found = { kind: "fenced", table, key, origin, version, owner, epoch, isOurs } as const;
      if (isOurs) this.contests.fence(db, keyBytes, found);
      conflicts.push(found);
    }
    return conflicts;
  }

  #assertMayWrite(row: Pending, owner: string | undefined): void {
    if (owner === undefined || owner === this.self.worker || row.isClaim === true) return;
    throw notOwner(row, owner, "is");
  }
}

/** Whose a row of the table is, and since which epoch; undefined when it is not there. */
export function ownershipIn(rows: TableRows | undefined, key: readonly SqlValue[]): Ownership | undefined {
  const row = rows?.read(key, encodeKey(key));
  return row?.clock && { owner: rows?.ownerOf(row.values), epoch: row.clock.epoch };
}

/** A tombstone says whose row it was; every state says the cut of its epoch. */
function withMark(row: Pending, mark: Mark | undefined): Pending {
  const owner = row.state === undefined ? row.ownerBefore : undefined;
  return owner === undefined && mark?.cut === undefined ? row : { ...row, mark: { cut: mark?.cut, owner } };
}

function notOwner({ rows, key }: Pending, owner: string, verb: "is" | "would be"): AppError {
  const { name } = rows.table;
  const keyText = key.map((value) => JSON.stringify(valueToJson(value))).join(", ");
  return new AppError("not-owner", `${name} (${keyText}) ${verb} worker ${owner}'s`, {
    hint: "Write at that worker's agent, let it hand the row over, or claim the row if that worker is gone.",
    details: { table: name, key: keyText, owner },
  });
}

function ordered(table: string): AppError {
  return new AppError("bad-request", `rows of ${table} have owners, so they cannot bring stamps of their own`, {
    hint: "Leave the stamp out.",
  });
}
