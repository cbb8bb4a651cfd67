/**
 * A whole object as its callers see it: its columns by name and a version tag, which a later write can make its condition.
 *
 *   read ─► values, tag ─► change values ─► write with the tag ─► happens, or `version-mismatch`: read again
 *
 * The tag is the writer's origin and version: no two states of a row share one. A condition is judged on the node that
 * was asked. Two nodes asked at the same moment may both accept, and the join keeps the later write; who must exclude
 * that sends the writes of a row to one node.
 */
import { AppError, must, type OriginId, type RowCondition, type RowWrite, type SqlValue } from "@patina/base";
import type { Table } from "../database/layout.js";
import type { Origins } from "../log/origins.js";
import { encodeKey } from "../rows/row-codec.js";
import type { Clock, TableRows } from "../rows/rows.js";
import { assertKeyText } from "../rows/text.js";

export interface StoredObject {
  /** Every column that can be written, in the schema's order. */
  readonly values: Readonly<Record<string, SqlValue>>;
  /** Undefined only for a row that was written around the engine. */
  readonly tag: string | undefined;
}

export function versionTag(origin: OriginId, version: number): string {
  return `${origin}:${version}`;
}

/** The tag of a row with this clock; undefined without one. */
export function tagAt(clock: Clock | undefined, origins: Origins): string | undefined {
  return clock && versionTag(origins.originOf(clock.origin), clock.version);
}

/** Throws `version-mismatch` when the condition does not hold for a row that is at `tag`. */
export function checkCondition(
  { table }: RowWrite,
  condition: RowCondition,
  exists: boolean,
  tag: string | undefined,
): void {
  const refuse = (what: string, hint: string): AppError => {
    return new AppError("version-mismatch", `the object of ${table} ${what}`, {
      hint,
      ...(tag === undefined ? {} : { details: { tag } }),
    });
  };
  if (condition.kind === "absent") {
    if (exists) throw refuse("is there already", "Read it, and write it on condition of its tag.");
    return;
  }
  if (!exists) throw refuse("is not there", "It was deleted, or never was: decide whether to create it.");
  if (condition.kind === "exists" || (tag !== undefined && condition.tags.includes(tag))) return;
  throw refuse("is at another version", "Read it again, make your change to what it is now, and send its new tag.");
}

/** The object with this key, given by column name; undefined when there is none. Throws `bad-request`. */
export function readObject(
  rows: TableRows,
  origins: Origins,
  given: Readonly<Record<string, SqlValue>>,
): StoredObject | undefined {
  const { table } = rows;
  const other = Object.keys(given).find((column) => !table.key.includes(column));
  if (other !== undefined) {
    throw new AppError("bad-request", `${other} is not in the key of ${table.name}`, {
      hint: `An object is read by its whole key: ${table.key.join(", ")}. To search, send SQL to /v1/queries.`,
      details: { field: other },
    });
  }
  const key = table.key.map((column) => {
    const value = Object.hasOwn(given, column) ? given[column] : undefined;
    if (value === undefined || value === null) throw keyMissing(table, column);
    return value;
  });
  assertKeyText(key);
  const stored = rows.storedKey(key);
  const row = rows.read(stored, encodeKey(stored));
  if (row === undefined) return undefined;
  const byName = new Map<string, SqlValue>();
  table.key.forEach((name, i) => byName.set(name, must(stored[i], "a key value")));
  table.values.forEach(({ name }, i) => byName.set(name, row.values[i] ?? null));
  return {
    values: Object.fromEntries(table.insertColumns.map((name) => [name, byName.get(name) ?? null])),
    tag: tagAt(row.clock, origins),
  };
}

/** The table users call that. Throws `table-unknown`. */
export function tableNamed(name: string, tables: ReadonlyMap<string, TableRows>): TableRows {
  const rows = tables.get(name);
  if (rows === undefined || rows.table.isHidden) throw tableUnknown(name, tables);
  return rows;
}

export function tableUnknown(name: string, tables: ReadonlyMap<string, TableRows>): AppError {
  const known = [...tables.values()].filter(({ table }) => !table.isHidden).map(({ table }) => table.name);
  return new AppError("table-unknown", `no such table: ${name}`, {
    hint: `The tables are ${known.join(", ")}. Views cannot be written.`,
  });
}

export function columnUnknown({ name, insertColumns }: Table, column: string): AppError {
  return new AppError("sql-error", `table ${name} has no column named ${column}`, {
    hint: `Its columns are ${insertColumns.join(", ")}.`,
    details: { field: column },
  });
}

export function keyMissing({ name, key }: Table, column: string): AppError {
  return new AppError("bad-request", `${name}.${column} is missing`, {
    hint: `Name the whole key: ${key.join(", ")}.`,
    details: { field: column },
  });
}
