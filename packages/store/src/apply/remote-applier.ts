/**
 * Remote changes: each row joined with the one that is here, the greater stamp wins.
 *
 * One transaction for the batch, a savepoint for each change: one that cannot be applied is put aside with its reason
 * and delays nothing else. It counts as held: asking for it again would bring the same bytes. Only when there is no room to
 * put it is it left for later, with what follows of its origin.
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
  type OriginId,
  type OwnershipConflict,
  Ranges,
  type SqlValue,
  type Stamp,
} from "@patina/base";
import type Database from "better-sqlite3";
import type { Aside, AsideRow } from "../rows/aside.js";
import { nextLink } from "./chain.js";
import type { ChangeLog } from "../log/change-log.js";
import type { ClosedOrigins } from "../log/closed-origins.js";
import type { Digest } from "../check/digest.js";
import type { DroppedNames } from "../schema/dropped-names.js";
import type { Contender } from "../owners/fence.js";
import type { StoreLimits } from "../database/limits.js";
import type { Origins } from "../log/origins.js";
import type { Owners } from "../owners/ownership.js";
import type { Quarantine } from "./quarantine.js";
import { decodeBody, decodeKey, decodeState, encodeKey, NO_TABLE, rowHash, type RowChange } from "../rows/row-codec.js";
import type { Clock, HashedClock, StoredRow, TableRows } from "../rows/rows.js";
import { isFatal } from "../database/sqlite-error.js";
import { dropTombstone, putTombstone, readTombstone } from "../rows/tombstones.js";
import type { Transactions } from "../database/transactions.js";

export interface RemoteApplierParts {
  readonly db: Database.Database;
  readonly transactions: Transactions;
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly aside: Aside;
  readonly dropped: DroppedNames;
  readonly closed: ClosedOrigins;
  readonly log: ChangeLog;
  readonly origins: Origins;
  readonly quarantine: Quarantine;
  readonly digest: Digest;
  readonly clock: HlcClock;
  readonly owners: Owners;
  readonly limits: StoreLimits;
  readonly onRow: RowWatch;
}

/** Told of a row before it is joined. */
export type RowWatch = (table: string, key: Uint8Array) => void;

/** What a batch is found to do. */
interface Found {
  readonly rows: ChangedRow[];
  readonly conflicts: OwnershipConflict[];
}

/** Of a version: all of it, some of its rows, or all of it once more. */
type Extent = "whole" | "part" | "again";

interface Refusal {
  readonly reason: string;
  /** There was no room for it in quarantine: it is not held, and will come again. */
  readonly isLeft: boolean;
}

/** What memory must follow once a change has been applied as a whole. */
type MemoryStep = {
  readonly table: string;
  readonly key: Uint8Array;
  readonly observed: Hlc;
  /** The new hash less the old one. */
  readonly difference: bigint;
};

export class RemoteApplier {
  readonly #parts: RemoteApplierParts;

  constructor(parts: RemoteApplierParts) {
    this.#parts = parts;
  }

  /**
   * Applies changes in the order given and marks each held, all in one transaction. Those held already are skipped, and those
   * of an origin that follow one for which there was no room.
   * `empties` are versions known to have no effect any more, since every row they wrote was written again later; `owed`
   * is what the state depends on besides, when the changes were read back from rows. Throws `store-failed` when the
   * transaction could not be committed: then nothing was applied and nothing is held.
   */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ApplyOutcome {
    const { origins, db, clock, transactions } = this.#parts;
    return transactions.run("NORMAL", () => {
      const found: Found = { rows: [], conflicts: [] };
      const quarantined: { change: Change; reason: string }[] = [];
      const forked: Change[] = [];
      const stopped = new Set<OriginId>();
      let applied = 0;
      for (const change of changes) {
        if (holds(origins.holding(change.origin), change.version)) continue;
        if (stopped.has(change.origin)) continue;
        const refusal = this.#inSavepoint(change, found);
        if (refusal !== undefined) quarantined.push({ change, reason: refusal.reason });
        if (refusal?.isLeft === true) {
          stopped.add(change.origin);
          continue;
        }
        if (!this.#follow(change)) forked.push(change);
        origins.hold(change.origin, Ranges.of(change.version, change.version), change.hlc, db);
        clock.observe(change.hlc);
        applied++;
      }
      for (const { origin, versions } of empties) {
        origins.hold(origin, versions, 0n, db);
        if (!versions.isEmpty) origins.setLink(origin, undefined);
      }
      for (const [origin, head] of owed) origins.owe(origin, head, db);
      return { applied, quarantined, forked, ...found };
    });
  }

  /**
   * Joins rows of a snapshot, without marking anything as held: a version's other rows may be in another piece. What cannot be
   * joined is told and not kept. Throws like `apply`.
   */
  join(changes: readonly Change[], owed: Heads): ApplyOutcome {
    const { origins, db, clock, transactions } = this.#parts;
    return transactions.run("NORMAL", () => {
      const found: Found = { rows: [], conflicts: [] };
      const quarantined: { change: Change; reason: string }[] = [];
      for (const [origin, head] of owed) origins.owe(origin, head, db);
      for (const change of changes) {
        const refusal = this.#inSavepoint(change, found, "part");
        if (refusal !== undefined) {
          quarantined.push({ change, reason: refusal.reason });
          continue;
        }
        clock.observe(change.hlc);
        origins.see(change.origin, change.hlc);
      }
      return { applied: changes.length - quarantined.length, quarantined, forked: [], ...found };
    });
  }

  /** Tries quarantined changes again: the schema may have changed. Those that apply now are let out. */
  retryQuarantined(changes: readonly Change[]): ApplyOutcome {
    const { db, origins, quarantine, transactions } = this.#parts;
    return transactions.run("FULL", () => {
      const found: Found = { rows: [], conflicts: [] };
      const quarantined: { change: Change; reason: string }[] = [];
      let applied = 0;
      for (const change of changes) {
        quarantine.drop(origins.indexOf(change.origin, db), change.version);
        const refusal = this.#inSavepoint(change, found, "again");
        if (refusal === undefined) applied++;
        else quarantined.push({ change, reason: refusal.reason });
      }
      return { applied, quarantined, forked: [], ...found };
    });
  }

  /** Does the change follow what was applied of its origin before? Unknown counts as yes. */
  #follow(change: Change): boolean {
    const { origins } = this.#parts;
    const before = origins.link(change.origin);
    const isNext = before !== undefined && before.version === change.version - 1;
    const { chain } = change;
    if (before !== undefined && before.version >= change.version) return true; // It fills a gap.
    origins.setLink(change.origin, chain === undefined ? undefined : { version: change.version, chain });
    return !isNext || chain === undefined || nextLink(before, change).chain === chain;
  }

  /** Undefined when applied; otherwise why not, and a whole change is in quarantine, if there is room. */
  #inSavepoint(change: Change, out: Found, extent: Extent = "whole"): Refusal | undefined {
    const { db, digest, origins, clock, transactions } = this.#parts;
    const origin = origins.indexOf(change.origin, db); // Before the savepoint: a rollback must not take the number back.
    const refusal = this.#parts.closed.refusal(change);
    if (refusal !== undefined) return this.#refuse(change, origin, refusal, extent);
    try {
      const steps: MemoryStep[] = [];
      const found = transactions.inSavepoint(() => this.#applyRows(change, origin, steps, extent));
      for (const { table, key, observed, difference } of steps) {
        clock.observe(observed);
        digest.add(table, key, difference);
      }
      for (const row of found.rows) out.rows.push(row);
      for (const conflict of found.conflicts) out.conflicts.push(conflict);
      return undefined;
    } catch (thrown) {
      if (!transactions.isOpen || isFatal(thrown)) throw thrown;
      return this.#refuse(change, origin, messageOf(thrown), extent);
    }
  }

  #refuse(change: Change, origin: number, reason: string, extent: Extent): Refusal {
    const { quarantine, limits } = this.#parts;
    if (extent === "part") return { reason, isLeft: false };
    const most = limits.quarantineBytesMax;
    // What is tried again had its room before.
    if (extent === "whole" && quarantine.bytes + change.body.length > most) {
      return { reason: `${reason}; it is not kept: the quarantine may have ${most} bytes, and is full`, isLeft: true };
    }
    quarantine.put(origin, change, reason);
    return { reason, isLeft: false };
  }

  #applyRows(change: Change, origin: number, steps: MemoryStep[], extent: Extent): Found {
    const rows = decodeBody(change.body, change.hlc, this.#parts.limits.transactionRowsMax);
    const found: Found = { rows: [], conflicts: [] };
    for (const row of rows) {
      const outcome = this.#joinRow(change, origin, row, steps, found.conflicts);
      if (outcome !== undefined) found.rows.push(outcome);
    }
    const keys = steps.map(({ table, key }) => ({ table, key }));
    const { log, db } = this.#parts;
    if (extent !== "part") log.append(db, origin, change.version, keys);
    else log.appendMore(db, origin, change.version, keys);
    return found;
  }

  /** The join. Undefined when the row that is here wins, or when nobody can see it yet. */
  #joinRow(
    change: Change,
    origin: number,
    incoming: RowChange,
    steps: MemoryStep[],
    conflicts: OwnershipConflict[],
  ): ChangedRow | undefined {
    this.#parts.onRow(incoming.table, incoming.key);
    const rows = this.#parts.rows.get(incoming.table);
    const { rowBytesMax } = this.#parts.limits;
    const key = decodeKey(incoming.key, rowBytesMax);
    const isKnown = rows !== undefined && key.length === rows.table.key.length;
    if (isKnown) assertKeyForm(rows, key, incoming.key);
    else if (Buffer.compare(encodeKey(key), incoming.key) !== 0) throw new MalformedError("a key not in its one form");
    // Before anything is compared: whether a change can be applied must not depend on what is here.
    const shape = isKnown ? rows.table : NO_TABLE;
    const sent = incoming.state && decodeState(shape, incoming.state, rowBytesMax);
    const { dropped } = this.#parts;
    if (dropped.hasRow(incoming.table, incoming.hlc)) return undefined;
    const { decoded, state } = dropped.strip(incoming, shape, sent);
    const current = isKnown ? rows.read(key, incoming.key) : undefined;
    const { db, aside, owners } = this.#parts;
    const waiting = current === undefined ? aside.read(db, incoming.table, incoming.key) : undefined;
    const here = current?.clock ?? waiting?.clock;
    const buried = here === undefined ? readTombstone(db, incoming.table, incoming.key) : undefined;
    const stamp = { epoch: incoming.epoch, hlc: incoming.hlc, origin: change.origin, version: change.version };
    const last = here ?? buried;
    const isBeaten = last !== undefined && compareStamps(stamp, this.#stampOf(last)) <= 0;
    if (last !== undefined) {
      const owner = state === undefined ? incoming.owner : rows?.ownerOf(decoded?.values);
      const arrived = { stamp, owner, cut: incoming.cut, isDeleted: state === undefined };
      const standing = this.#standing(incoming, last, rows, current, waiting);
      const place = { table: incoming.table, key, keyBytes: incoming.key };
      const [winner, loser] = isBeaten ? [standing, arrived] : [arrived, standing];
      conflicts.push(...owners.meet(db, place, winner, loser));
    }
    if (isBeaten) return undefined;
    owners.arrive(db, incoming, last?.epoch);
    const hash = state === undefined ? 0n : rowHash(incoming.table, incoming.key, stamp, state);
    const difference = hash - (here?.hash ?? 0n);
    // Its stamp may be ahead of its change's: a later local write of the row must win.
    steps.push({ table: incoming.table, key: incoming.key, observed: incoming.hlc, difference });
    const clock = { ...stamp, origin, hash };
    if (!isKnown) {
      this.#putAside(incoming, clock, buried !== undefined);
      return undefined;
    }
    const { table } = rows;
    const appBefore = rows.appOf(key, current?.values);
    if (decoded === undefined) {
      if (current !== undefined) rows.delete(key);
      rows.clearWaiting(incoming.key);
      rows.putTombstone(incoming.key, clock, incoming.app);
      return { table: table.name, key, kind: "delete", appBefore, app: undefined };
    }
    const values = rows.putState(key, incoming.key, decoded, clock, current);
    if (buried !== undefined) rows.dropTombstone(incoming.key);
    return { table: table.name, key, kind: "upsert", appBefore, app: rows.appOf(key, values) };
  }

  /** The state that is here, as it meets another. */
  #standing(
    { table, key }: RowChange,
    last: Clock,
    rows: TableRows | undefined,
    current: StoredRow | undefined,
    waiting: AsideRow | undefined,
  ): Contender {
    const mark = this.#parts.owners.marks.read(this.#parts.db, table, key, last.epoch);
    const isThere = current !== undefined || waiting !== undefined;
    const owner = waiting === undefined ? rows?.ownerOf(current?.values) : rows?.ownerAside(waiting);
    return { stamp: this.#stampOf(last), owner: isThere ? owner : mark?.owner, cut: mark?.cut, isDeleted: !isThere };
  }

  /** A row of a table that this schema does not have, or has with another key. */
  #putAside({ table, key, state, app }: RowChange, clock: HashedClock, isBuried: boolean): void {
    const { db, aside } = this.#parts;
    if (state === undefined) {
      aside.drop(db, table, key);
      putTombstone(db, table, key, { ...clock, app });
      return;
    }
    aside.put(db, table, key, { clock, state });
    if (isBuried) dropTombstone(db, table, key);
  }

  #stampOf(clock: Clock): Stamp {
    return { ...clock, origin: this.#parts.origins.originOf(clock.origin) };
  }
}

/** Keys that a table holds for one must have the same bytes everywhere. */
function assertKeyForm(rows: TableRows, key: readonly SqlValue[], bytes: Uint8Array): void {
  if (Buffer.compare(encodeKey(rows.storedKey(key)), bytes) === 0) return;
  throw new MalformedError(`a key that ${rows.table.name} would not keep as it is`);
}
