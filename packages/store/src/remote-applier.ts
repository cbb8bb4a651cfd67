/**
 * Remote changes: each row joined with the one that is here, the greater stamp wins.
 *
 * One transaction for the batch, a savepoint for each change: one that cannot be applied is put aside with its reason
 * and delays nothing else. It counts as held: asking for it again would bring the same bytes.
 */
import {
  type ApplyOutcome,
  type Change,
  type ChangedRow,
  compareStamps,
  type EmptyVersions,
  type Heads,
  type Hlc,
  type HlcClock,
  holds,
  MalformedError,
  messageOf,
  must,
  Ranges,
  type Stamp,
} from "@patina/base";
import type Database from "better-sqlite3";
import { isStoredAsIs } from "./affinity.js";
import type { ChangeLog } from "./change-log.js";
import type { Digest } from "./digest.js";
import type { StoreLimits } from "./limits.js";
import type { Origins } from "./origins.js";
import type { Quarantine } from "./quarantine.js";
import {
  decodeBody,
  decodeKey,
  decodeState,
  encodeKey,
  encodeState,
  rowHash,
  type RowChange,
  UnknownColumnError,
} from "./row-codec.js";
import { changedColumns, type Clock, type TableRows } from "./rows.js";
import { isFatal, transactionError } from "./sqlite-error.js";

export interface RemoteApplierParts {
  readonly db: Database.Database;
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly log: ChangeLog;
  readonly origins: Origins;
  readonly quarantine: Quarantine;
  readonly digest: Digest;
  readonly clock: HlcClock;
  readonly limits: StoreLimits;
}

/** What memory must follow once a change has been applied as a whole. */
type MemoryStep = {
  readonly table: string;
  readonly key: Uint8Array;
  readonly observed: Hlc;
  readonly before?: Uint8Array;
  readonly after?: Uint8Array;
};

export class RemoteApplier {
  readonly #parts: RemoteApplierParts;

  constructor(parts: RemoteApplierParts) {
    this.#parts = parts;
  }

  /**
   * Applies changes in the order given and marks each held, all in one transaction. Those held already are skipped.
   * `empties` are versions known to have no effect any more, since every row they wrote was written again later; `owed`
   * is what the state depends on besides, when the changes were read back from rows. Throws `store-failed` when the
   * transaction could not be committed: then nothing was applied and nothing is held.
   */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ApplyOutcome {
    const { origins, db, clock } = this.#parts;
    return this.#inTransaction(() => {
      const rows: ChangedRow[] = [];
      const quarantined: { change: Change; reason: string }[] = [];
      let applied = 0;
      for (const change of changes) {
        if (holds(origins.holding(change.origin), change.version)) continue;
        const reason = this.#inSavepoint(change, rows);
        if (reason !== undefined) quarantined.push({ change, reason });
        origins.hold(change.origin, Ranges.of(change.version, change.version), change.hlc, db);
        clock.observe(change.hlc);
        applied++;
      }
      for (const { origin, versions } of empties) origins.hold(origin, versions, 0n, db);
      for (const [origin, head] of owed) origins.owe(origin, head, db);
      return { applied, quarantined, rows };
    });
  }

  /** Tries quarantined changes again: the schema may have changed. Those that apply now are let out. */
  retryQuarantined(changes: readonly Change[]): ApplyOutcome {
    const { db, origins, quarantine } = this.#parts;
    return this.#inTransaction(() => {
      const rows: ChangedRow[] = [];
      const quarantined: { change: Change; reason: string }[] = [];
      let applied = 0;
      for (const change of changes) {
        quarantine.drop(origins.indexOf(change.origin, db), change.version);
        const reason = this.#inSavepoint(change, rows);
        if (reason === undefined) applied++;
        else quarantined.push({ change, reason });
      }
      return { applied, quarantined, rows };
    });
  }

  #inTransaction<T>(work: () => T): T {
    const { db, origins, digest } = this.#parts;
    try {
      db.exec("BEGIN IMMEDIATE"); // It may find the database busy, too.
      const result = work();
      origins.flush(db);
      digest.flush(db);
      db.exec("COMMIT");
      return result;
    } catch (thrown) {
      if (db.inTransaction) db.exec("ROLLBACK");
      origins.reload();
      digest.reload();
      throw transactionError(thrown);
    }
  }

  /** Undefined when applied; otherwise why not, and the change is in quarantine. */
  #inSavepoint(change: Change, out: ChangedRow[]): string | undefined {
    const { db, digest, origins, clock } = this.#parts;
    const origin = origins.indexOf(change.origin, db); // Before the savepoint: a rollback must not take the number back.
    db.exec("SAVEPOINT one_change");
    try {
      const steps: MemoryStep[] = [];
      const changed = this.#applyRows(change, origin, steps);
      db.exec("RELEASE one_change");
      for (const { table, key, observed, before, after } of steps) {
        clock.observe(observed);
        if (before !== undefined) digest.subtract(table, key, before);
        if (after !== undefined) digest.add(table, key, after);
      }
      out.push(...changed);
      return undefined;
    } catch (thrown) {
      if (!db.inTransaction || isFatal(thrown)) throw thrown;
      db.exec("ROLLBACK TO one_change; RELEASE one_change");
      const reason = messageOf(thrown);
      this.#parts.quarantine.put(origin, change, reason);
      return reason;
    }
  }

  #applyRows(change: Change, origin: number, steps: MemoryStep[]): ChangedRow[] {
    const rows = decodeBody(change.body, change.hlc, this.#parts.limits.transactionRowsMax);
    const changed: ChangedRow[] = [];
    for (const row of rows) {
      const outcome = this.#joinRow(change, origin, row, steps);
      if (outcome !== undefined) changed.push(outcome);
    }
    return changed;
  }

  /** The join. Undefined when the row that is here wins. */
  #joinRow(change: Change, origin: number, incoming: RowChange, steps: MemoryStep[]): ChangedRow | undefined {
    const rows = this.#parts.rows.get(incoming.table);
    if (rows === undefined) throw new UnknownColumnError(`table ${incoming.table}`);
    const { table } = rows;
    const key = decodeKey(incoming.key, this.#parts.limits.rowBytesMax);
    if (key.length !== table.key.length) throw new UnknownColumnError(`key of ${key.length} columns for ${table.name}`);
    if (Buffer.compare(encodeKey(rows.storedKey(key)), incoming.key) !== 0) {
      throw new MalformedError(`a key that ${table.name} would not keep as it is`);
    }
    const current = rows.read(key);
    const last = current?.clock ?? rows.tombstone(incoming.key);
    const stamp = { epoch: incoming.epoch, hlc: incoming.hlc, origin: change.origin, version: change.version };
    if (last !== undefined && compareStamps(stamp, this.#stampOf(last)) <= 0) return undefined;
    const clock = { ...stamp, origin };
    this.#parts.log.append(this.#parts.db, table.name, incoming.key, clock);
    const appBefore = rows.appOf(key, current?.values);
    const observed = incoming.hlc; // It may be ahead of its change's: a later local write of the row must win.
    const step = {
      table: table.name,
      key: incoming.key,
      observed,
      ...(current?.clock ? { before: current.clock.hash } : {}),
    };
    if (incoming.state === undefined) {
      if (current !== undefined) rows.delete(key);
      rows.putTombstone(incoming.key, clock, incoming.app);
      steps.push(step);
      return { table: table.name, key, kind: "delete", appBefore, app: undefined };
    }
    const values = decodeState(table, incoming.state, this.#parts.limits.rowBytesMax);
    const hash = rowHash(table.name, incoming.key, stamp, incoming.state);
    if (current === undefined) rows.upsert(key, values, { ...clock, hash });
    else rows.update(key, changedColumns(current.values, values), values, { ...clock, hash });
    if (!values.every((value, i) => isStoredAsIs(value, must(table.values[i], "a column").affinity))) {
      const kept = encodeState(table, must(rows.read(key), "a row just written").values);
      if (Buffer.compare(kept, incoming.state) !== 0)
        throw new MalformedError(`values that ${table.name} would not keep`);
    }
    if (current === undefined && last !== undefined) rows.dropTombstone(incoming.key);
    steps.push({ ...step, after: hash });
    return { table: table.name, key, kind: "upsert", appBefore, app: rows.appOf(key, values) };
  }

  #stampOf(clock: Clock): Stamp {
    return { ...clock, origin: this.#parts.origins.originOf(clock.origin) };
  }
}
