/**
 * The state digest: per table and bucket, the sum mod 2^256 of the hashes of the live rows.
 *
 * It is kept in the transaction that writes the row, so two nodes with equal holdings must have equal digests at any
 * moment: a run-time proof of convergence. A sum, not XOR: XOR lets a row that is there twice cancel itself.
 */
import { createHash } from "node:crypto";
import type Database from "better-sqlite3";
import { HASH_BYTES } from "./row-codec.js";

export const BUCKETS = 256;
const LANES = HASH_BYTES / 4;

export class Digest {
  readonly #db: Database.Database;
  readonly #sums = new Map<string, Uint32Array>();
  readonly #touched = new Map<string, Set<number>>();

  constructor(db: Database.Database) {
    this.#db = db;
    this.reload();
  }

  /** Forgets what is in memory for what is on disk: after a rollback, or another connection's write. */
  reload(): void {
    this.#sums.clear();
    this.#touched.clear();
    const rows = this.#db.prepare("SELECT tbl, bucket, sum FROM _patina_digests").raw().all() as [
      string,
      number,
      Buffer,
    ][];
    for (const [table, bucket, sum] of rows) readLanes(sum, this.#tableSums(table), bucket * LANES);
  }

  /** A row's state came to be. */
  add(table: string, key: Uint8Array, hash: Uint8Array): void {
    this.#change(table, key, hash, 1);
  }

  /** A row's state is no more. */
  subtract(table: string, key: Uint8Array, hash: Uint8Array): void {
    this.#change(table, key, hash, -1);
  }

  /** Writes the touched sums. Call it inside the transaction, before its commit. */
  flush(db: Database.Database): void {
    const statement = db.prepare(
      "INSERT INTO _patina_digests VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET sum = excluded.sum",
    );
    for (const [table, buckets] of this.#touched) {
      const sums = this.#tableSums(table);
      for (const bucket of buckets) statement.run(table, bucket, writeLanes(sums, bucket * LANES));
    }
    this.#touched.clear();
  }

  /** The whole database in 32 bytes. Tables without rows do not count, so an added table changes nothing. */
  total(): Buffer {
    const hash = createHash("sha256");
    for (const [table, sum] of this.tables()) hash.update(`${table}\n`).update(sum);
    return hash.digest();
  }

  /** Per table that has rows, the sum over its buckets; sorted by name. */
  tables(): [string, Buffer][] {
    const out: [string, Buffer][] = [];
    for (const [table, sums] of this.#sums) {
      const total = new Uint32Array(LANES);
      for (let bucket = 0; bucket < BUCKETS; bucket++) addLanes(total, 0, sums, bucket * LANES, 1);
      if (total.some((lane) => lane !== 0)) out.push([table, writeLanes(total, 0)]);
    }
    return out.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  /** One bucket's sum, for comparing with what the rows really add up to. */
  bucket(table: string, bucket: number): Buffer {
    return writeLanes(this.#tableSums(table), bucket * LANES);
  }

  #change(table: string, key: Uint8Array, hash: Uint8Array, sign: 1 | -1): void {
    const bucket = bucketOf(key);
    addLanes(this.#tableSums(table), bucket * LANES, readLanes(hash, lanes, 0), 0, sign);
    let touched = this.#touched.get(table);
    if (touched === undefined) this.#touched.set(table, (touched = new Set()));
    touched.add(bucket);
  }

  #tableSums(table: string): Uint32Array {
    let sums = this.#sums.get(table);
    if (sums === undefined) this.#sums.set(table, (sums = new Uint32Array(BUCKETS * LANES)));
    return sums;
  }
}

const lanes = new Uint32Array(LANES);

export function bucketOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}

/** Adds or subtracts one 256-bit number, least significant lane first. */
export function addLanes(into: Uint32Array, at: number, from: Uint32Array, fromAt: number, sign: 1 | -1): void {
  let carry = 0;
  for (let i = 0; i < LANES; i++) {
    const sum = (into[at + i] ?? 0) + sign * (from[fromAt + i] ?? 0) + carry;
    into[at + i] = sum >>> 0;
    carry = Math.floor(sum / 0x1_0000_0000);
  }
}

export function readLanes(bytes: Uint8Array, into: Uint32Array, at: number): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < LANES; i++) into[at + i] = view.getUint32(i * 4, true);
  return into;
}

export function writeLanes(from: Uint32Array, at: number): Buffer {
  const bytes = Buffer.allocUnsafe(HASH_BYTES);
  for (let i = 0; i < LANES; i++) bytes.writeUInt32LE(from[at + i] ?? 0, i * 4);
  return bytes;
}
