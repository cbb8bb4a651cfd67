/**
 * Which rows did the user's SQL touch? TEMP triggers on the local connection note each touched key, and the clock the
 * row had before the transaction; what the row became is read once, at commit. TEMP triggers belong to one connection,
 * so remote changes, which go through another, never pay for them.
 */
import type { SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { CLOCK_COLUMNS, type Table } from "./layout.js";
import { encodeKey } from "./row-codec.js";
import { assertKeyText, clockOf, type HashedClock } from "./rows.js";
import { quoteName } from "./sql/tokens.js";

export interface TouchedRow {
  readonly table: Table;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
  /** The row's clock before the transaction; undefined when there was no row. */
  readonly before: HashedClock | undefined;
  readonly appBefore: string | undefined;
}

const TOUCH = "_patina_touch";

export class Capture {
  readonly #tables: readonly Table[];
  #touched: Map<string, TouchedRow> | undefined;

  constructor(db: Database.Database, tables: readonly Table[]) {
    this.#tables = tables;
    // Without this, REPLACE deletes rows without telling anybody.
    db.pragma("recursive_triggers = ON");
    db.function(TOUCH, { varargs: true, safeIntegers: true }, (...args: unknown[]) =>
      this.#onTouch(args as SqlValue[]),
    );
    tables.forEach((table, index) => createTriggers(db, table, index));
  }

  /** Begins to note touched rows, forgetting any noted before. */
  start(): void {
    this.#touched = new Map();
  }

  /** The rows touched since `start`, each once, in the order first touched; noting ends. */
  take(): TouchedRow[] {
    const touched = [...(this.#touched?.values() ?? [])];
    this.#touched = undefined;
    return touched;
  }

  #onTouch([index, app, epoch, hlc, origin, version, hash, ...key]: SqlValue[]): null {
    const table = this.#tables[Number(index)];
    if (this.#touched === undefined || table === undefined) return null;
    assertKeyText(key);
    const keyBytes = encodeKey(key);
    const id = `${table.name}\0${Buffer.from(keyBytes).toString("latin1")}`;
    if (this.#touched.has(id)) return null; // Only the state before the transaction matters.
    const before = clockOf([epoch ?? null, hlc ?? null, origin ?? null, version ?? null, hash ?? null], 0);
    const appBefore = app === null || app === undefined ? undefined : String(app);
    this.#touched.set(id, { table, key, keyBytes, before, appBefore });
    return null;
  }
}

function createTriggers(db: Database.Database, table: Table, index: number): void {
  const rows = quoteName(table.rowsTable);
  // An INTEGER PRIMARY KEY is the rowid, which has names of its own.
  const rowids = ["rowid", "oid", "_rowid_"];
  const columns = [...table.insertColumns, ...rowids].map(quoteName).join(", ");
  const keyOf = (row: string): string => table.key.map((name) => `${row}.${quoteName(name)}`).join(", ");
  const app = table.appColumn === undefined ? "NULL" : `OLD.${quoteName(table.appColumn)}`;
  const old = `${index}, ${app}, ${CLOCK_COLUMNS.map((name) => `OLD.${name}`).join(", ")}, ${keyOf("OLD")}`;
  const fresh = `${index}, NULL, NULL, NULL, NULL, NULL, NULL, ${keyOf("NEW")}`;
  const moved = table.key.map((name) => `OLD.${quoteName(name)} IS NOT NEW.${quoteName(name)}`).join(" OR ");
  const trigger = (name: string, event: string, when: string, args: string): void => {
    db.exec(`CREATE TEMP TRIGGER ${quoteName(`_patina_${name}_${table.name}`)} AFTER ${event} ON main.${rows} ${when}
      BEGIN SELECT ${TOUCH}(${args}); END`);
  };
  trigger("insert", "INSERT", "", fresh);
  trigger("delete", "DELETE", "", old);
  trigger("update", `UPDATE OF ${columns}`, "", old);
  trigger("move", `UPDATE OF ${[...table.key, ...rowids].map(quoteName).join(", ")}`, `WHEN ${moved}`, fresh);
}
