/**
 * What a database has beyond an earlier state, as lines of JSON for people and for `patina salvage replay`: one line a row, as
 * it stands. It is what a restore would lose, so it reads whatever can be read of a database that nobody will open again.
 */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import {
  type Change,
  heldVersions,
  type Holdings,
  hlcToMs,
  must,
  NO_HOLDING,
  Ranges,
  type SqlValue,
  valueToJson,
} from "@patina/base";
import Database from "better-sqlite3";
import { Origins } from "../log/origins.js";
import { decodeBody, decodeKey, decodeState } from "../rows/row-codec.js";
import { RESERVED_PREFIX } from "../sql/reserved.js";
import { extractorOf } from "./delta.js";
import { moveDurably } from "./durable-move.js";
import type { Table } from "./layout.js";
import { defaultStoreLimits } from "./limits.js";

/** A line of a salvage file. */
export interface SalvagedRow {
  readonly table: string;
  /** Key and values by column; of a deleted row the key alone. */
  readonly values: Readonly<Record<string, ReturnType<typeof valueToJson>>>;
  readonly deleted: boolean;
  /** The node that wrote it, and its database: 48 hex digits. */
  readonly origin: string;
  readonly version: number;
  /** When it was written, by its writer's clock; ISO 8601. */
  readonly at: string;
}

const PART_BYTES = 1 << 20;

/**
 * Writes the rows that `path` has beyond `since` to the file `toPath`, which is there whole or as it was before, whenever this ends;
 * answers how many.
 */
export function salvage(path: string, since: Holdings, toPath: string): number {
  const part = `${toPath}.part`;
  rmSync(part, { force: true });
  const file = openSync(part, "wx", 0o600);
  const rows = writeBeyond(path, since, file);
  moveDurably(part, toPath);
  return rows;
}

function writeBeyond(path: string, since: Holdings, file: number): number {
  try {
    let rows = 0;
    forEachBeyond(path, since, (lines) => {
      if (lines.length > 0) writeWhole(file, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
      rows += lines.length;
    });
    fsyncSync(file);
    return rows;
  } finally {
    closeSync(file);
  }
}

/** By table, how many rows `path` has beyond `since`. Run it in a worker. */
export function countBeyond(path: string, since: Holdings): Record<string, number> {
  const counts: Record<string, number> = {};
  forEachBeyond(path, since, (lines) => {
    for (const { table } of lines) counts[table] = (counts[table] ?? 0) + 1;
  });
  return counts;
}

function forEachBeyond(path: string, since: Holdings, take: (lines: readonly SalvagedRow[]) => void): void {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    db.exec("BEGIN");
    const origins = new Origins(db);
    const { extractor, tables } = extractorOf(db, origins);
    for (const [origin, holding] of origins.holdings()) {
      let wanted = heldVersions(holding).subtract(heldVersions(since.get(origin) ?? NO_HOLDING));
      while (!wanted.isEmpty) {
        const { changes, empty } = extractor.extract(origin, wanted, PART_BYTES, () => undefined);
        take(changes.flatMap((change) => linesOf(change, tables)));
        wanted = wanted.subtract(empty).subtract(Ranges.from(changes.map(({ version }) => [version, version])));
      }
    }
  } finally {
    db.close();
  }
}

/** The engine's own tables are left out: what they say was true of a cluster that is no more. */
function linesOf({ origin, version, hlc, body }: Change, tables: ReadonlyMap<string, Table>): SalvagedRow[] {
  const { transactionRowsMax, rowBytesMax } = defaultStoreLimits;
  return decodeBody(body, hlc, transactionRowsMax).flatMap((row): SalvagedRow[] => {
    const table = tables.get(row.table);
    if (table === undefined || row.table.startsWith(RESERVED_PREFIX)) return [];
    const key = decodeKey(row.key, rowBytesMax).map((value, i) => [must(table.key[i], "a key column"), value] as const);
    const values = row.state === undefined ? [] : valuesOf(table, row.state, rowBytesMax);
    const json = Object.fromEntries([...key, ...values].map(([name, value]) => [name, valueToJson(value)]));
    const at = new Date(hlcToMs(row.hlc)).toISOString();
    return [{ table: row.table, values: json, deleted: row.state === undefined, origin, version, at }];
  });
}

function valuesOf(table: Table, state: Uint8Array, bytesMax: number): (readonly [string, SqlValue])[] {
  const decoded = decodeState(table, state, bytesMax);
  return table.values.flatMap(({ name, isHidden }, i) =>
    isHidden ? [] : [[name, decoded.values[i] ?? null] as const],
  );
}

/** A disk that is nearly full takes a part, and only the next write says why. */
function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
