/**
 * Repair: rows that are not what this member once committed, put back from what a peer holds of the same bucket. A row
 * changed around the engine gets its state back, one deleted comes back, one that was never written is removed. Stamps do
 * not change and nothing is gossiped: the others have it right.
 */
import { type ChangedRow, compareStamps, holds, must, type Stamp } from "@patina/base";
import type Database from "better-sqlite3";
import type { Bucket, BucketRow } from "./bucket.js";
import type { ChangeLog } from "../log/change-log.js";
import type { Digest } from "./digest.js";
import type { Engine, EngineParts } from "../engine.js";
import { tableUnknown } from "../write/object.js";
import type { Origins } from "../log/origins.js";
import { decodeKey, decodeState, encodeState, rowHash, rowId } from "../rows/row-codec.js";
import type { StoredRow, TableRows } from "../rows/rows.js";
import type { WriteGuard } from "../database/write-guard.js";

interface Parts {
  readonly db: Database.Database;
  readonly origins: Origins;
  readonly digest: Digest;
  readonly log: ChangeLog;
}

export interface Repaired {
  readonly rows: readonly ChangedRow[];
  /** Rows that are wrong here, and that the peer could not help with. */
  readonly unresolved: number;
}

export class Repairs {
  readonly #parts: EngineParts;
  readonly #guard: WriteGuard;
  readonly #engine: () => Engine;

  constructor(parts: EngineParts, guard: WriteGuard, engine: () => Engine) {
    this.#parts = parts;
    this.#guard = guard;
    this.#engine = engine;
  }

  /**
   * Puts back what is wrong in a bucket from what a peer holds of it, in one durable transaction. What was read of it may be
   * out of date: each row is looked at again. Throws `table-unknown`, `store-busy` and `store-failed`.
   */
  repair(table: string, mine: readonly BucketRow[], theirs: readonly BucketRow[]): Repaired {
    const { plain: db, origins, digest } = this.#parts;
    const { rows, log, transactions } = this.#engine();
    const repaired = rows.get(table);
    if (repaired === undefined) throw tableUnknown(table, rows);
    const parts = { db, origins, digest, log };
    return this.#guard.write(() => transactions.run("FULL", () => repairRows(parts, repaired, mine, theirs)));
  }

  /** Makes the digest of a bucket what its rows add up to; false when it has changed since they were added up. */
  rebase(table: string, bucket: number, { expected, found }: Pick<Bucket, "expected" | "found">): boolean {
    const { transactions } = this.#engine();
    const rebase = (): boolean => this.#parts.digest.rebase(table, bucket, expected, found);
    return this.#guard.write(() => transactions.run("FULL", rebase));
  }
}

function repairRows(parts: Parts, rows: TableRows, mine: readonly BucketRow[], theirs: readonly BucketRow[]): Repaired {
  const offered = new Map(theirs.filter(({ isSound }) => isSound).map((row) => [rowId(rows.table.name, row.key), row]));
  const changed: ChangedRow[] = [];
  let unresolved = 0;
  const suspects = [...mine.filter(({ isSound }) => !isSound), ...theirs];
  for (const { key } of new Map(suspects.map((row) => [rowId(rows.table.name, row.key), row])).values()) {
    const outcome = repairRow(parts, rows, key, offered.get(rowId(rows.table.name, key)));
    if (outcome === "unresolved") unresolved++;
    else if (outcome !== undefined) changed.push(outcome);
  }
  return { rows: changed, unresolved };
}

function repairRow(
  parts: Parts,
  rows: TableRows,
  keyBytes: Uint8Array,
  offered: BucketRow | undefined,
): ChangedRow | "unresolved" | undefined {
  const { origins, digest } = parts;
  const { table } = rows;
  const key = decodeKey(keyBytes, keyBytes.length);
  const here = rows.read(key, keyBytes);
  const stamp = here?.clock && { ...here.clock, origin: origins.originOf(here.clock.origin) };
  if (here !== undefined && isSound(rows, keyBytes, here, stamp)) return undefined;
  const theirs = offered?.stamp;
  // What is here in its place, or was: it must not lose to something older, nor get ahead of what is held.
  const isNewer = theirs !== undefined && (stamp === undefined || compareStamps(theirs, stamp) >= 0);
  const isHeld = theirs !== undefined && holds(origins.holding(theirs.origin), theirs.version);
  const isDeleted = here === undefined && rows.tombstone(keyBytes) !== undefined;
  const appBefore = rows.appOf(key, here?.values);
  if (offered !== undefined && theirs !== undefined && isNewer && isHeld && !isDeleted) {
    const clock = { ...theirs, origin: must(origins.knownIndex(theirs.origin), "an origin that is held") };
    const hash = rowHash(table.name, keyBytes, theirs, offered.state);
    const values = rows.putState(key, keyBytes, decodeState(table, offered.state, offered.state.length), { ...clock, hash }, here); // prettier-ignore
    // A sweep may have found it gone and dropped it from the log.
    parts.log.appendMore(parts.db, clock.origin, theirs.version, [{ table: table.name, key: keyBytes }]);
    // A row that vanished or lost its clock is still counted as it was; another state takes the place of the counted one.
    digest.add(table.name, keyBytes, here?.clock === undefined ? 0n : hash - here.clock.hash);
    return { table: table.name, key, kind: "upsert", appBefore, app: rows.appOf(key, values) };
  }
  if (here === undefined) return undefined; // Not here and not to be here yet: anti-entropy's business.
  if (here.clock !== undefined) return "unresolved";
  rows.delete(key);
  rows.clearWaiting(keyBytes);
  return { table: table.name, key, kind: "delete", appBefore, app: undefined };
}

function isSound(
  rows: TableRows,
  key: Uint8Array,
  { values, extras, clock }: StoredRow,
  stamp: Stamp | undefined,
): boolean {
  if (clock === undefined || stamp === undefined) return false;
  return rowHash(rows.table.name, key, stamp, encodeState(rows.table, values, extras)) === clock.hash;
}
