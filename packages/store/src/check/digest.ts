/**
 * The state digest: per table and bucket, the sum mod 2^64 of the hashes of the live rows.
 *
 * It is kept in the transaction that writes the row, so two nodes with equal holdings must have equal digests at any
 * moment: a run-time proof of convergence. A sum, not XOR: XOR lets a row that is there twice cancel itself.
 */
import { createHash } from "node:crypto";
import { endianness } from "node:os";
import type Database from "better-sqlite3";
import { SharedStatement } from "../database/shared-statement.js";

export const BUCKETS = 256;

const WRITE = new SharedStatement(
  "INSERT INTO _patina_digests VALUES (?, ?) ON CONFLICT DO UPDATE SET sums = excluded.sums",
);

export class Digest {
  readonly #db: Database.Database;
  readonly #sums = new Map<string, BigUint64Array>();
  readonly #touched = new Set<string>();

  constructor(db: Database.Database) {
    this.#db = db;
    this.reload();
  }

  /** Forgets what is in memory for what is on disk, after a rollback. */
  reload(): void {
    this.#sums.clear();
    this.#touched.clear();
    const rows = this.#db.prepare("SELECT tbl, sums FROM _patina_digests").raw().all() as [string, Buffer][];
    for (const [table, bytes] of rows) {
      const sums = this.#sumsOf(table);
      for (let bucket = 0; bucket < BUCKETS; bucket++) sums[bucket] = bytes.readBigUInt64LE(bucket * 8);
    }
  }

  /** A row's hash came to be, or the difference between its new one and the old. */
  add(table: string, key: Uint8Array, difference: bigint): void {
    this.#touched.add(table);
    addHash(this.#sumsOf(table), key, difference);
  }

  /** Writes the touched sums. Call it inside the transaction, before its commit. */
  flush(db: Database.Database): void {
    for (const table of this.#touched) WRITE.on(db).run(table, sumsBytes(this.#sumsOf(table)));
    this.#touched.clear();
  }

  /**
   * The cluster's data in 32 bytes. Tables without rows do not count, so an added table changes nothing; nor do the tables
   * in `without`.
   */
  total(without: readonly string[] = []): Buffer {
    const hash = createHash("sha256");
    for (const [table, sum] of this.tables()) if (!without.includes(table)) hash.update(`${table}\n${sum}\n`);
    return hash.digest();
  }

  /** Per table that has rows, the sum over its buckets as 16 hex digits; sorted by name. */
  tables(): [table: string, sum: string][] {
    const out: [string, string][] = [];
    for (const [table, sums] of this.#sums) {
      if (sums.some((sum) => sum !== 0n)) out.push([table, sumText(sums.reduce((total, sum) => total + sum, 0n))]);
    }
    return out.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  /** The sums of a table's buckets, each as 16 hex digits: what to compare when two totals differ. */
  buckets(table: string): string[] {
    return Array.from(this.#sums.get(table) ?? new BigUint64Array(BUCKETS), sumText);
  }

  /** By number, the sums of those that have rows. */
  bucketsWithRows(table: string): Record<number, string> {
    return Object.fromEntries([...this.buckets(table).entries()].filter(([, sum]) => /[^0]/.test(sum)));
  }

  /** Takes what a bucket's rows add up to for what they should, unless it has changed since that was found out. */
  rebase(table: string, bucket: number, expected: string, found: string): boolean {
    const sums = this.#sumsOf(table);
    if (sumText(sums[bucket] ?? 0n) !== expected) return false;
    sums[bucket] = BigInt(`0x${found}`);
    this.#touched.add(table);
    return true;
  }

  #sumsOf(table: string): BigUint64Array {
    let sums = this.#sums.get(table);
    if (sums === undefined) this.#sums.set(table, (sums = new BigUint64Array(BUCKETS)));
    return sums;
  }
}

/** Adds a row's hash to the sum of its bucket. The array itself wraps at 64 bits. */
export function addHash(sums: BigUint64Array, key: Uint8Array, hash: bigint): void {
  const bucket = bucketOf(key);
  sums[bucket] = (sums[bucket] as bigint) + hash;
}

export function sumText(sum: bigint): string {
  return BigInt.asUintN(64, sum).toString(16).padStart(16, "0");
}

export function bucketOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}

/** Little-endian, as nearly every machine has them in memory already: then no sum is copied by itself. */
function sumsBytes(sums: BigUint64Array): Buffer {
  const bytes = Buffer.from(sums.buffer, sums.byteOffset, sums.byteLength);
  return endianness() === "LE" ? bytes : Buffer.from(bytes).swap64();
}
