/**
 * Scrub: what the rows really add up to, against the digest kept beside them. It finds a row written around the
 * engine, a bit that flipped, and an image that is not what its manifest says.
 */
import type { Stamp } from "@patina/base";
import type Database from "better-sqlite3";
import { Aside } from "../rows/aside.js";
import { addHash, BUCKETS, Digest, sumText } from "./digest.js";
import { Extras } from "../rows/extras.js";
import { tablesOf } from "../schema/hidden.js";
import { readMeta, type Table } from "../database/layout.js";
import { encodeState, rowHash } from "../rows/row-codec.js";
import { eachRow } from "../rows/rows.js";
import { parseSchema } from "../schema/schema.js";

export interface ScrubFinding {
  readonly table: string;
  readonly bucket: number;
  readonly expected: string;
  readonly found: string;
}

/** Recomputes every bucket of every table of the file that `db` has open. No findings: rows and digest agree. */
export function scrub(db: Database.Database): ScrubFinding[] {
  return [...scrubTables(db)].flat();
}

/**
 * The same, a table at a time, each in one snapshot: its rows and its digest are of the same moment. No snapshot is held for
 * longer than it takes to read a table, since the write-ahead log cannot start over meanwhile.
 */
export function* scrubTables(db: Database.Database): Generator<ScrubFinding[], void, void> {
  const names = db.transaction(() => {
    const tables = tablesIn(db).map(({ name }) => name);
    return new Set([...tables, ...new Aside(db).tables()]);
  })();
  for (const name of names) yield db.transaction(() => scrubTable(db, name))();
}

function scrubTable(db: Database.Database, name: string): ScrubFinding[] {
  const origins = new Map(db.prepare("SELECT idx, origin FROM _patina_origins").raw().all() as [number, string][]);
  const originOf = (index: number): string => origins.get(index) ?? "";
  const table = tablesIn(db).find((it) => it.name === name); // It may have been dropped, or made anew, since the last one.
  const total = table === undefined ? new BigUint64Array(BUCKETS) : sumRows(db, table, new Extras(db), originOf);
  for (const { key, row } of new Aside(db).rows(db, name)) {
    addHash(total, key, rowHash(name, key, { ...row.clock, origin: originOf(row.clock.origin) }, row.state));
  }
  return differing(name, new Digest(db).buckets(name), Array.from(total, sumText));
}

function tablesIn(db: Database.Database): Table[] {
  return tablesOf(db, parseSchema(readMeta(db, "schema") ?? ""));
}

function differing(table: string, expected: readonly string[], found: readonly string[]): ScrubFinding[] {
  return expected.flatMap((sum, bucket) => {
    const actual = found[bucket] ?? "";
    return sum === actual ? [] : [{ table, bucket, expected: sum, found: actual }];
  });
}

function sumRows(
  db: Database.Database,
  table: Table,
  extras: Extras,
  originOf: (index: number) => string,
): BigUint64Array {
  const sums = new BigUint64Array(BUCKETS);
  for (const { keyBytes, values, clock, extras: own } of eachRow(db, table, extras)) {
    const stamp: Stamp | undefined = clock && { ...clock, origin: originOf(clock.origin) };
    // A row without a clock was written around the engine: any hash that nobody counted reveals it.
    const known = stamp ?? { epoch: 0, hlc: 0n, origin: "", version: 0 };
    addHash(sums, keyBytes, rowHash(table.name, keyBytes, known, encodeState(table, values, own)));
  }
  return sums;
}
