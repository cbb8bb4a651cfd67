/**
 * Values of columns that this schema does not have, by row: written by members whose schema is newer, or under a definition
 * that lost. They belong to the row's state and its hash, are passed on with it, and become part of the row when a schema
 * brings their column.
 */
import { ByteReader, ByteWriter, readValue, type SqlValue, writeValue } from "@patina/base";
import type Database from "better-sqlite3";
import { SharedStatement } from "../database/shared-statement.js";
import { NAME_BYTES_MAX } from "./row-codec.js";

/** A column by name and what the row holds in it. */
export type Extra = readonly [column: string, value: SqlValue];

const READ = new SharedStatement("SELECT state FROM _patina_extras WHERE tbl = ? AND key = ?");
const PUT = new SharedStatement("INSERT OR REPLACE INTO _patina_extras VALUES (?, ?, ?)");
const DROP = new SharedStatement("DELETE FROM _patina_extras WHERE tbl = ? AND key = ?");
const ALL = new SharedStatement("SELECT key, state FROM _patina_extras WHERE tbl = ? ORDER BY key");

export class Extras {
  /** Tables some row of which may have extras: hardly ever any, and then a row costs no look-up. */
  readonly #tables: Set<string>;

  constructor(db: Database.Database) {
    this.#tables = new Set(db.prepare("SELECT DISTINCT tbl FROM _patina_extras").pluck().all() as string[]);
  }

  read(db: Database.Database, table: string, key: Uint8Array): readonly Extra[] {
    if (!this.#tables.has(table)) return [];
    const row = READ.on(db).get(table, key) as { state: Buffer } | undefined;
    return row === undefined ? [] : decodeExtras(row.state);
  }

  /** Replaces the row's extras. */
  put(db: Database.Database, table: string, key: Uint8Array, extras: readonly Extra[]): void {
    if (extras.length > 0) {
      this.#tables.add(table);
      PUT.on(db).run(table, key, encodeExtras(extras));
    } else if (this.#tables.has(table)) DROP.on(db).run(table, key);
  }

  /** Every row of a table that has extras. */
  all(db: Database.Database, table: string): { key: Uint8Array; extras: readonly Extra[] }[] {
    if (!this.#tables.has(table)) return [];
    const rows = ALL.on(db).all(table) as { key: Buffer; state: Buffer }[];
    return rows.map(({ key, state }) => ({ key, extras: decodeExtras(state) }));
  }
}

const writer = new ByteWriter(1024);

function encodeExtras(extras: readonly Extra[]): Uint8Array {
  writer.reset();
  for (const [column, value] of extras) writeValue(writer.text(column), value);
  return writer.done();
}

function decodeExtras(bytes: Uint8Array): Extra[] {
  const reader = new ByteReader(bytes);
  const extras: Extra[] = [];
  while (!reader.isAtEnd) extras.push([reader.text(NAME_BYTES_MAX), readValue(reader, bytes.length)]);
  return extras;
}
