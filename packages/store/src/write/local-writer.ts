/**
 * Local writes: one durable transaction for all that arrived together, one version for each that changed something. The
 * change's bytes are captured inside the transaction and never read back later.
 */
import {
  AppError,
  type Change,
  type Hlc,
  type HlcClock,
  type OriginId,
  Ranges,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type Database from "better-sqlite3";
import type { CapturedWrites } from "./captured-writes.js";
import { nextLink } from "../apply/chain.js";
import type { ChangeLog } from "../log/change-log.js";
import type { Digest } from "../check/digest.js";
import type { StoreLimits } from "../database/limits.js";
import type { HandoffWrites } from "./handoff-writes.js";
import { versionTag } from "./object.js";
import type { ObjectWrites } from "./object-writes.js";
import type { Origins } from "../log/origins.js";
import type { Owners } from "../owners/ownership.js";
import { changedRow, type Pending } from "../rows/pending.js";
import { encodeBody, rowHash } from "../rows/row-codec.js";
import type { TableRows } from "../rows/rows.js";
import { isFatal, sqlError } from "../database/sqlite-error.js";
import type { Transactions } from "../database/transactions.js";

/** A connection to write on, and its statements by table. */
export interface Lane {
  readonly transactions: Transactions;
  readonly rows: ReadonlyMap<string, TableRows>;
}

export interface LocalWriterParts {
  /** With capture triggers: for groups that hold users' SQL. */
  readonly captured: Lane;
  /** Without: for groups of whole objects only, whose keys are known beforehand. */
  readonly plain: Lane;
  readonly objects: ObjectWrites;
  readonly statements: CapturedWrites;
  readonly handoffs: HandoffWrites;
  readonly owners: Owners;
  readonly log: ChangeLog;
  readonly origins: Origins;
  readonly digest: Digest;
  readonly clock: HlcClock;
  readonly self: OriginId;
  readonly limits: StoreLimits;
}

export class LocalWriter {
  readonly #parts: LocalWriterParts;

  constructor(parts: LocalWriterParts) {
    this.#parts = parts;
  }

  /**
   * Runs every write in one durable transaction and says of each what became of it. A write that fails is undone by
   * itself. Throws `store-failed` when the transaction as a whole could not be committed: then none of them happened.
   */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    const { origins, self, captured, plain } = this.#parts;
    const lane = writes.every(({ kind }) => kind !== "statements") ? plain : captured;
    return lane.transactions.run("FULL", (db) => {
      origins.indexOf(self, db); // Before any savepoint: rolling one back must not take the number back.
      return writes.map((write) => this.#outcome(lane, write, wallMs));
    });
  }

  #outcome(lane: Lane, write: Write, wallMs: number): WriteOutcome {
    try {
      return lane.transactions.inSavepoint((db) => this.#run(lane, db, write, wallMs));
    } catch (thrown) {
      if (isFatal(thrown) || !lane.transactions.isOpen) throw thrown;
      return { ok: false, error: thrown instanceof AppError ? thrown : sqlError(thrown) };
    }
  }

  #run(lane: Lane, db: Database.Database, write: Write, wallMs: number): WriteOutcome {
    const { objects, statements, handoffs } = this.#parts;
    if (write.kind === "statements") {
      const { pending, rowsAffected } = statements.run(write.statements);
      return this.#finish(db, pending, rowsAffected, wallMs);
    }
    if (write.kind === "handoffs") {
      const pending = handoffs.pending(db, write.handoffs, lane.rows);
      return this.#finish(db, pending, [pending.length], wallMs);
    }
    const pending = objects.pending(write.rows, lane.rows);
    const outcome = this.#finish(db, pending, [pending.length], wallMs);
    const [only, more] = write.rows;
    if (!outcome.ok || only === undefined || more !== undefined || only.deleted === true) return outcome;
    const { change } = outcome;
    const tag = change === undefined ? objects.tagOf(only, lane.rows) : versionTag(change.origin, change.version);
    return tag === undefined ? outcome : { ...outcome, tag };
  }

  #finish(db: Database.Database, wanted: readonly Pending[], rowsAffected: number[], wallMs: number): WriteOutcome {
    const { owners } = this.#parts;
    const pending = wanted.map((row) => owners.admit(db, row));
    if (pending.length === 0) return { ok: true, rowsAffected, change: undefined, rows: [] };
    checkLimits(pending, this.#parts.limits);
    const { origins, clock, self, log } = this.#parts;
    const version = origins.holding(self).head + 1;
    const hlc = clock.tick(wallMs);
    const origin = origins.indexOf(self, db);
    const hashes = pending.map((row) => this.#stamp(row, row.hlc ?? hlc, origin, version));
    for (const row of pending) owners.note(db, row);
    const keys = pending.map(({ rows, keyBytes }) => ({ table: rows.table.name, key: keyBytes }));
    log.append(db, origin, version, keys);
    this.#remember(pending, hashes); // From here on nothing can fail but the commit itself, so memory may follow.
    origins.hold(self, Ranges.of(version, version), hlc, db);
    const changes = pending.map(({ rows, keyBytes, epoch, hlc: own, state, appBefore: app, mark }) => {
      return { table: rows.table.name, key: keyBytes, epoch, hlc: own ?? hlc, state, app, ...mark };
    });
    const body = encodeBody(changes, hlc);
    const before = origins.link(self);
    const link = before && nextLink(before, { version, hlc, body });
    origins.setLink(self, link);
    const change: Change = { origin: self, version, hlc, body, ...(link && { chain: link.chain }) };
    return { ok: true, rowsAffected, change, rows: pending.map(changedRow) };
  }

  /** Gives a row its clock; the new hash, or undefined for a delete. */
  #stamp(row: Pending, hlc: Hlc, origin: number, version: number): bigint | undefined {
    const { rows, key, keyBytes, epoch, state, values, todo } = row;
    if (state === undefined || values === undefined) {
      if (todo === "delete") rows.delete(key);
      rows.clearWaiting(keyBytes);
      rows.putTombstone(keyBytes, { epoch, hlc, origin, version }, row.appBefore);
      return undefined;
    }
    const hash = rowHash(rows.table.name, keyBytes, { epoch, hlc, origin: this.#parts.self, version }, state);
    const clock = { epoch, hlc, origin, version, hash };
    if (todo === "insert") rows.upsert(key, values, clock);
    else if (typeof todo === "object") rows.update(key, todo.update, values, clock);
    else rows.stamp(key, clock);
    rows.clearWaiting(keyBytes, row.extras);
    if (row.isBuried) rows.dropTombstone(keyBytes);
    return hash;
  }

  #remember(pending: readonly Pending[], hashes: readonly (bigint | undefined)[]): void {
    const { digest } = this.#parts;
    pending.forEach(({ rows, keyBytes, before }, i) => {
      const hash = (hashes[i] ?? 0n) - (before?.hash ?? 0n);
      digest.add(rows.table.name, keyBytes, hash);
    });
  }
}

function checkLimits(pending: readonly Pending[], limits: StoreLimits): void {
  const { transactionRowsMax, transactionBytesMax, rowBytesMax } = limits;
  const split = "Split it, or stream the objects to /v1/tables/TABLE/rows as application/x-ndjson: that has no limit.";
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
