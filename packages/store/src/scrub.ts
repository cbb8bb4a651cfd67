/**
 * Scrub: what the rows really add up to, against the digest kept beside them. It finds a row written around the
 * engine, a bit that flipped, and an image that is not what its manifest says.
 */
import type { SqlValue, Stamp } from "@patina/base";
import type Database from "better-sqlite3";
import { addHash, BUCKETS, Digest, sumText } from "./digest.js";
import { CLOCK_COLUMNS, readMeta, type Table, tableOf } from "./layout.js";
import { encodeKey, encodeState, rowHash } from "./row-codec.js";
import { clockOf } from "./rows.js";
import { parseSchema } from "./schema.js";
import { quoteName } from "./sql/tokens.js";

export interface ScrubFinding {
  readonly table: string;
  readonly bucket: number;
  readonly expected: string;
  readonly found: string;
}

/** Recomputes every bucket of every table of the file that `db` has open. No findings: rows and digest agree. */
export function scrub(db: Database.Database): ScrubFinding[] {
  return db.transaction(() => scrubSnapshot(db))(); // One snapshot: rows and digest of the same moment.
}

function scrubSnapshot(db: Database.Database): ScrubFinding[] {
  const kept = new Digest(db);
  const origins = new Map(db.prepare("SELECT idx, origin FROM _patina_origins").raw().all() as [number, string][]);
  const findings: ScrubFinding[] = [];
  for (const schema of parseSchema(readMeta(db, "schema") ?? "").tables) {
    const table = tableOf(schema);
    const found = Array.from(sumRows(db, table, origins), sumText);
    kept.buckets(table.name).forEach((expected, bucket) => {
      const sum = found[bucket] ?? "";
      if (sum !== expected) findings.push({ table: table.name, bucket, expected, found: sum });
    });
  }
  return findings;
}

function sumRows(db: Database.Database, table: Table, origins: ReadonlyMap<number, string>): BigUint64Array {
  const sums = new BigUint64Array(BUCKETS);
  const columns = [...table.key, ...table.values.map(({ name }) => name)].map(quoteName).concat(CLOCK_COLUMNS);
  const rows = db
    .prepare(`SELECT ${columns.join(", ")} FROM ${quoteName(table.rowsTable)}`)
    .raw()
    .safeIntegers(true);
  const keyCount = table.key.length;
  const clockAt = keyCount + table.values.length;
  for (const row of rows.iterate() as Iterable<SqlValue[]>) {
    const key = encodeKey(row.slice(0, keyCount));
    const clock = clockOf(row, clockAt);
    const stamp: Stamp | undefined = clock && { ...clock, origin: origins.get(clock.origin) ?? "" };
    // A row without a clock was written around the engine: any hash that nobody counted reveals it.
    const known = stamp ?? { epoch: 0, hlc: 0n, origin: "", version: 0 };
    const hash = rowHash(table.name, key, known, encodeState(table, row.slice(keyCount, clockAt)));
    addHash(sums, key, hash);
  }
  return sums;
}
