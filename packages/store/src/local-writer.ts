/**
 * Local writes: many requests in one SQLite transaction, a savepoint and a version each.
 *
 *   user SQL ─► touched rows ─► read each once ─► same hash as before? ── yes ─► nothing happened
 *                                                        └── no ─► stamp, digest, bytes of the change
 *
 * A row that did not change produces no version, no log and no byte to gossip. The change's bytes are built here,
 * inside the transaction; nobody reads them back later.
 */
import {
  AppError,
  type Change,
  type ChangedRow,
  type Hlc,
  type HlcClock,
  must,
  type OriginId,
  Ranges,
  type RowWrite,
  type SqlValue,
  type Statement,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type Database from "better-sqlite3";
import { isStoredAsIs } from "./affinity.js";
import type { Capture } from "./capture.js";
import type { ChangeLog } from "./change-log.js";
import type { Digest } from "./digest.js";
import type { Table } from "./layout.js";
import type { StoreLimits } from "./limits.js";
import type { Origins } from "./origins.js";
import { checkCondition, columnUnknown, keyMissing, tableUnknown, versionTag } from "./object.js";
import { encodeBody, encodeKey, encodeState, rowHash } from "./row-codec.js";
import { assertKeyText, changedColumns, type HashedClock, type TableRows } from "./rows.js";
import { isFatal, sqlError, transactionError } from "./sqlite-error.js";
import type { StatementCache } from "./statement-cache.js";

/** A connection to write on, and its statements by table. */
export interface Lane {
  readonly db: Database.Database;
  readonly rows: ReadonlyMap<string, TableRows>;
}

export interface LocalWriterParts {
  /** With capture triggers: for groups that hold users' SQL. */
  readonly captured: Lane;
  /** Without: for groups of whole objects only, whose keys are known beforehand. */
  readonly plain: Lane;
  readonly log: ChangeLog;
  readonly capture: Capture;
  readonly statements: StatementCache;
  readonly origins: Origins;
  readonly digest: Digest;
  readonly clock: HlcClock;
  readonly self: OriginId;
  readonly limits: StoreLimits;
}

/** The clock of a row between being written and being stamped, inside one transaction. */
const UNSTAMPED: HashedClock = { epoch: 0, hlc: 0n, origin: 0, version: 0, hash: new Uint8Array(0) };

/** A whole-object write and the row it is about, its key as the table keeps it. */
interface Target {
  readonly write: RowWrite;
  readonly rows: TableRows;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
}

/** A row that a write will leave changed, before it has a version. `state` undefined is a delete. */
interface Pending {
  readonly rows: TableRows;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
  readonly before: HashedClock | undefined;
  readonly state: Uint8Array | undefined;
  readonly values: readonly SqlValue[] | undefined;
  readonly appBefore: string | undefined;
  readonly epoch: number;
  /** Given by the writer, e.g. a summary row that carries its region's high-water; else the version's own. */
  readonly hlc: Hlc | undefined;
  /** What is still to be done to the row itself: nothing but its clock, everything, or the columns that change. */
  readonly todo: "stamp" | "insert" | "delete" | { readonly update: readonly number[] };
}

export class LocalWriter {
  readonly #parts: LocalWriterParts;
  /** The lane of the group being committed. */
  #lane: Lane;

  constructor(parts: LocalWriterParts) {
    this.#parts = parts;
    this.#lane = parts.captured;
  }

  /**
   * Runs every write in one durable transaction and says of each what became of it. A write that fails is undone by
   * itself. Throws `store-failed` when the transaction as a whole could not be committed: then none of them happened.
   */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    const { origins, digest, self, captured, plain } = this.#parts;
    this.#lane = writes.every(({ kind }) => kind === "rows") ? plain : captured;
    const { db } = this.#lane;
    try {
      db.exec("BEGIN IMMEDIATE"); // It may find the database busy, too.
      origins.indexOf(self, db); // Before any savepoint: rolling one back must not take the number back.
      const outcomes = writes.map((write) => this.#inSavepoint(write, wallMs));
      origins.flush(db);
      digest.flush(db);
      db.exec("COMMIT");
      return outcomes;
    } catch (thrown) {
      if (db.inTransaction) db.exec("ROLLBACK");
      origins.reload();
      digest.reload();
      throw transactionError(thrown);
    }
  }

  #inSavepoint(write: Write, wallMs: number): WriteOutcome {
    const { db } = this.#lane;
    db.exec("SAVEPOINT one_write");
    try {
      const outcome = this.#run(write, wallMs);
      db.exec("RELEASE one_write");
      return outcome;
    } catch (thrown) {
      if (!db.inTransaction || isFatal(thrown)) throw thrown;
      db.exec("ROLLBACK TO one_write; RELEASE one_write");
      return { ok: false, error: thrown instanceof AppError ? thrown : sqlError(thrown) };
    }
  }

  #run(write: Write, wallMs: number): WriteOutcome {
    if (write.kind === "rows") {
      const targets = this.#targets(write.rows);
      const pending = targets.flatMap((target) => this.#pendingRow(target));
      const outcome = this.#finish(pending, [pending.length], wallMs);
      const tag = targets.length === 1 ? this.#tagOf(must(targets[0], "the only target")) : undefined;
      return tag === undefined || !outcome.ok ? outcome : { ...outcome, tag };
    }
    this.#parts.capture.start();
    const rowsAffected: number[] = [];
    let touched;
    try {
      for (const statement of write.statements) rowsAffected.push(this.#runStatement(statement));
    } finally {
      touched = this.#parts.capture.take();
    }
    const pending = touched.flatMap((row) => this.#pendingTouched(row));
    return this.#finish(pending, rowsAffected, wallMs);
  }

  #runStatement({ sql, params }: Statement): number {
    const statement = this.#parts.statements.get(sql);
    return statement.run(...(Array.isArray(params) ? (params as SqlValue[]) : [params])).changes;
  }

  /** What user SQL made of a row; nothing when it is as it was. */
  #pendingTouched({ table, key, keyBytes, before, appBefore }: ReturnType<Capture["take"]>[number]): Pending[] {
    const rows = this.#rowsOf(table);
    const row = rows.read(key);
    const common = { rows, key, keyBytes, before, appBefore, hlc: undefined };
    if (row === undefined) {
      if (before === undefined) return [];
      return [{ ...common, state: undefined, values: undefined, epoch: before.epoch, todo: "stamp" }];
    }
    const state = encodeState(table, row.values);
    if (before !== undefined && this.#isSame(table, keyBytes, before, state)) {
      // A REPLACE by itself dropped the clock; a row moved here from another key brought that key's.
      if (row.clock === undefined || Buffer.compare(row.clock.hash, before.hash) !== 0) rows.stamp(key, before);
      return [];
    }
    const epoch = before?.epoch ?? rows.tombstone(keyBytes)?.epoch ?? 0;
    return [{ ...common, state, values: row.values, epoch, todo: "stamp" }];
  }

  /** The rows to write, each once: a change says one thing of a row. The later write counts, unless its stamp is older. */
  #targets(writes: readonly RowWrite[]): Target[] {
    const targets = new Map<string, Target>();
    for (const write of writes) {
      const target = this.#target(write);
      const id = `${write.table}\0${Buffer.from(target.keyBytes).toString("latin1")}`;
      const earlier = targets.get(id)?.write.stamp;
      if (earlier !== undefined && write.stamp !== undefined && isOlder(write.stamp, earlier)) continue;
      targets.set(id, target);
    }
    return [...targets.values()];
  }

  #target(write: RowWrite): Target {
    const { table: name, values } = write;
    const rows = this.#lane.rows.get(name);
    if (rows === undefined) throw tableUnknown(name, [...this.#lane.rows.keys()]);
    const { key: keyColumns, insertColumns } = rows.table;
    const unknown = Object.keys(values).find((column) => !insertColumns.includes(column));
    if (unknown !== undefined) throw columnUnknown(rows.table, unknown);
    const given = keyColumns.map((column) => {
      const value = valueIn(values, column, null);
      if (value === null) throw keyMissing(rows.table, column);
      return value;
    });
    assertKeyText(given);
    const key = rows.storedKey(given);
    return { write, rows, key, keyBytes: encodeKey(key) };
  }

  /** The version tag of the row as it is now. */
  #tagOf({ rows, key }: Target): string | undefined {
    const clock = rows.read(key)?.clock;
    return clock && versionTag(this.#parts.origins.originOf(clock.origin), clock.version);
  }

  /** What a whole-object write would make of a row; nothing when it is as it was, or newer already. */
  #pendingRow(target: Target): Pending[] {
    const { write, rows, key, keyBytes } = target;
    const { values, deleted, stamp, condition } = write;
    const { table } = rows;
    const current = rows.read(key);
    if (condition !== undefined) checkCondition(write, condition, current !== undefined, this.#tagOf(target));
    const last = current?.clock ?? rows.tombstone(keyBytes);
    if (stamp !== undefined && last !== undefined && isOlder(stamp, last)) return [];
    // An equal stamp with another content is a repair of that very row: it must win here and everywhere.
    const hlc = stamp !== undefined && last !== undefined && isSame(stamp, last) ? stamp.hlc + 1n : stamp?.hlc;
    if (hlc !== undefined) this.#parts.clock.observe(hlc); // So that a later unstamped write of the row wins, too.
    const before = current?.clock;
    const epoch = stamp?.epoch ?? last?.epoch ?? 0;
    const appBefore = rows.appOf(key, current?.values);
    const common = { rows, key, keyBytes, before, appBefore, epoch, hlc };
    if (deleted === true) {
      // Without a stamp of its own, deleting what is not there says nothing; with one, it must outlive older writes.
      const isRecorded = last !== undefined && stamp !== undefined && isSame(stamp, last);
      if (before === undefined && (stamp === undefined || isRecorded)) return [];
      return [{ ...common, state: undefined, values: undefined, todo: before === undefined ? "stamp" : "delete" }];
    }
    const next = table.values.map(({ name, defaultValue }) => valueIn(values, name, defaultValue));
    if (!next.every((value, i) => isStoredAsIs(value, must(table.values[i], "a column").affinity))) {
      return this.#pendingUnsteady({ ...common, rows, key }, next);
    }
    if (current === undefined) return [{ ...common, state: encodeState(table, next), values: next, todo: "insert" }];
    const update = changedColumns(current.values, next);
    return update.length === 0 ? [] : [{ ...common, state: encodeState(table, next), values: next, todo: { update } }];
  }

  /** A row with values that its columns may change: what they become is known once it is written. */
  #pendingUnsteady(common: Omit<Pending, "state" | "values" | "todo">, next: readonly SqlValue[]): Pending[] {
    const { rows, key, keyBytes, before } = common;
    rows.upsert(key, next, before ?? UNSTAMPED);
    const { values } = must(rows.read(key), "a row just written");
    const state = encodeState(rows.table, values);
    if (before !== undefined && this.#isSame(rows.table, keyBytes, before, state)) return [];
    return [{ ...common, state, values, todo: "stamp" }];
  }

  #isSame(table: Table, key: Uint8Array, before: HashedClock, state: Uint8Array): boolean {
    const stamp = { ...before, origin: this.#parts.origins.originOf(before.origin) };
    return rowHash(table.name, key, stamp, state).equals(before.hash);
  }

  #finish(pending: readonly Pending[], rowsAffected: number[], wallMs: number): WriteOutcome {
    if (pending.length === 0) return { ok: true, rowsAffected, change: undefined, rows: [] };
    this.#checkLimits(pending);
    const { origins, digest, clock, self } = this.#parts;
    const { db } = this.#lane;
    const version = origins.holding(self).head + 1;
    const hlc = clock.tick(wallMs);
    const origin = origins.indexOf(self, db);
    const hashes = pending.map((row) => this.#stamp(row, { epoch: row.epoch, hlc: row.hlc ?? hlc, origin, version }));
    // From here on nothing can fail but the commit itself, so memory may follow.
    pending.forEach(({ rows, keyBytes, before }, i) => {
      if (before !== undefined) digest.subtract(rows.table.name, keyBytes, before.hash);
      const hash = hashes[i];
      if (hash !== undefined) digest.add(rows.table.name, keyBytes, hash);
    });
    origins.hold(self, Ranges.of(version, version), hlc, db);
    const changes = pending.map(({ rows, keyBytes, epoch, hlc: own, state, appBefore: app }) => {
      return { table: rows.table.name, key: keyBytes, epoch, hlc: own ?? hlc, state, app };
    });
    const change: Change = { origin: self, version, hlc, body: encodeBody(changes, hlc) };
    return { ok: true, rowsAffected, change, rows: pending.map((row) => changedRow(row)) };
  }

  /** Gives a row its clock; the new hash, or undefined for a delete. */
  #stamp(row: Pending, clock: Omit<HashedClock, "hash">): Uint8Array | undefined {
    const { rows, key, keyBytes, state, values, todo } = row;
    this.#parts.log.append(this.#lane.db, rows.table.name, keyBytes, clock);
    if (state === undefined || values === undefined) {
      if (todo === "delete") rows.delete(key);
      rows.putTombstone(keyBytes, clock, row.appBefore);
      return undefined;
    }
    const hash = rowHash(rows.table.name, keyBytes, { ...clock, origin: this.#parts.self }, state);
    if (todo === "insert") rows.upsert(key, values, { ...clock, hash });
    else if (typeof todo === "object") rows.update(key, todo.update, values, { ...clock, hash });
    else rows.stamp(key, { ...clock, hash });
    if (row.before === undefined) rows.dropTombstone(keyBytes);
    return hash;
  }

  #checkLimits(pending: readonly Pending[]): void {
    const { transactionRowsMax, transactionBytesMax, rowBytesMax } = this.#parts.limits;
    const split =
      "Split it, or stream the objects to /v1/tables/TABLE/rows as application/x-ndjson: that has no limit.";
    if (pending.length > transactionRowsMax) {
      const message = `the transaction changes ${pending.length} rows; at most ${transactionRowsMax} are allowed`;
      throw new AppError("transaction-too-large", message, { hint: split });
    }
    let bytes = 0;
    for (const { rows, keyBytes, state } of pending) {
      const rowBytes = keyBytes.length + (state?.length ?? 0);
      if (rowBytes > rowBytesMax) {
        const message = `a row of ${rows.table.name} has ${rowBytes} bytes; at most ${rowBytesMax} are allowed`;
        throw new AppError("row-too-large", message, { hint: "Keep large values in object storage and a link here." });
      }
      bytes += rowBytes;
    }
    if (bytes <= transactionBytesMax) return;
    const message = `the transaction changes ${bytes} bytes of rows; at most ${transactionBytesMax} are allowed`;
    throw new AppError("transaction-too-large", message, { hint: split });
  }

  #rowsOf(table: Table): TableRows {
    return must(this.#lane.rows.get(table.name), `statements for ${table.name}`);
  }
}

/** A column's value, null included; `absent` when the object leaves the column out. */
function valueIn<T>(values: RowWrite["values"], column: string, absent: T): SqlValue | T {
  const value = Object.hasOwn(values, column) ? values[column] : undefined;
  return value === undefined ? absent : value;
}

type RowStamp = { readonly epoch: number; readonly hlc: Hlc };

function isOlder(stamp: RowStamp, than: RowStamp): boolean {
  return stamp.epoch !== than.epoch ? stamp.epoch < than.epoch : stamp.hlc < than.hlc;
}

function isSame(a: RowStamp, b: RowStamp): boolean {
  return a.epoch === b.epoch && a.hlc === b.hlc;
}

function changedRow({ rows, key, state, values, appBefore }: Pending): ChangedRow {
  const kind = state === undefined ? "delete" : "upsert";
  return { table: rows.table.name, key, kind, appBefore, app: rows.appOf(key, values) };
}
