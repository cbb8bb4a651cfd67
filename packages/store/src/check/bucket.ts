/** One bucket of a table, row by row: what a member compares and repairs when a digest says that something is wrong in it. */
import type { OriginId, Stamp } from "@patina/base";
import type Database from "better-sqlite3";
import { addHash, bucketOf, BUCKETS, Digest, sumText } from "./digest.js";
import { Extras } from "../rows/extras.js";
import { tablesOf } from "../schema/hidden.js";
import { readMeta } from "../database/layout.js";
import { encodeState, rowHash } from "../rows/row-codec.js";
import { eachRow, type HashedClock } from "../rows/rows.js";
import { parseSchema } from "../schema/schema.js";

export interface BucketRow {
  readonly key: Uint8Array;
  /** Undefined for a row that was never written through the engine. */
  readonly stamp: Stamp | undefined;
  readonly state: Uint8Array;
  /** Is it what its hash says? */
  readonly isSound: boolean;
}

export interface Bucket {
  readonly rows: readonly BucketRow[];
  /** What the digest beside the rows says, and what the rows add up to. Equal when all is well. */
  readonly expected: string;
  readonly found: string;
}

/** Reads the whole table for it: call it away from the thread that gossips. No rows when there is no such table. */
export function readBucket(db: Database.Database, table: string, bucket: number): Bucket {
  return db.transaction(() => {
    const found = tablesOf(db, parseSchema(readMeta(db, "schema") ?? "")).find(({ name }) => name === table);
    const origins = new Map(db.prepare("SELECT idx, origin FROM _patina_origins").raw().all() as [number, string][]);
    const sums = new BigUint64Array(BUCKETS);
    const rows: BucketRow[] = [];
    const extras = new Extras(db);
    for (const row of found === undefined ? [] : eachRow(db, found, extras)) {
      if (found === undefined || bucketOf(row.keyBytes) !== bucket) continue;
      const state = encodeState(found, row.values, row.extras);
      const stamp = row.clock && stampOf(row.clock, origins.get(row.clock.origin) ?? "");
      const hash = rowHash(table, row.keyBytes, stamp ?? UNSTAMPED, state);
      addHash(sums, row.keyBytes, hash);
      rows.push({ key: row.keyBytes, stamp, state, isSound: hash === row.clock?.hash });
    }
    const expected = new Digest(db).buckets(table)[bucket] ?? "";
    return { rows, expected, found: sumText(sums[bucket] ?? 0n) };
  })();
}

function stampOf({ epoch, hlc, version }: HashedClock, origin: OriginId): Stamp {
  return { epoch, hlc, origin, version };
}

/** As in a scrub: a hash that nobody counted. */
const UNSTAMPED: Stamp = { epoch: 0, hlc: 0n, origin: "", version: 0 };
