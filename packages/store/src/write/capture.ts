/**
 * Which rows did the user's SQL touch? TEMP triggers on the SQL connection note each touched key; what the row became is
 * read once, at commit. TEMP triggers belong to one connection, so whole objects and remote changes, which go through
 * another, never pay for them.
 *
 * A row that is only updated still carries the clock it had, since users' SQL cannot set it. A trigger passes the clock on
 * only where the row goes: on DELETE, and on an UPDATE that moves it to another key. So it does with the values of hidden columns:
 * a row that REPLACE deletes and writes anew must not lose what its writer could not know of.
 */
import { AppError, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { CLOCK_COLUMNS, type Table } from "../database/layout.js";
import { encodeKey, rowId } from "../rows/row-codec.js";
import { clockOf, type HashedClock, ownerName } from "../rows/rows.js";
import { assertKeyText } from "../rows/text.js";
import { quoteName } from "../sql/tokens.js";

export interface TouchedRow {
  readonly table: Table;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
  /** The clock of the row that was deleted or moved away from this key; undefined when none was. */
  gone: HashedClock | undefined;
  /** A row came here from another key: the clock it carries is that other row's. */
  isMovedHere: boolean;
  /** The app the row belonged to before; undefined as long as it has not changed. */
  appBefore: { readonly app: string | undefined } | undefined;
  /** What was in the columns that nobody sees, of the row that was deleted; undefined when none was, or the table has none. */
  hiddenWas: readonly SqlValue[] | undefined;
  /** Whose row it was before; undefined as long as that has not changed. */
  ownerWas: { readonly owner: string | undefined } | undefined;
}

const TOUCH = "_patina_touch";

/**
 * What happened to a row, as the triggers tell it; `inserting` and `inserted` are told of tables only whose key SQLite would
 * make up.
 */
const EVENT = { written: 0n, gone: 1n, movedHere: 2n, appChanged: 3n, ownerChanged: 4n, inserting: 5n, inserted: 6n } as const; // prettier-ignore

/** What stands in a BEFORE INSERT trigger for a key that SQLite is going to make up. */
const NO_KEY = -1n;

export class Capture {
  readonly #tables: readonly Table[];
  readonly #eventsMax: number;
  /** The row that is being inserted came without a key, or with one that looks so. */
  #isWithoutKey = false;
  /** What the triggers said since `start`; undefined while nobody asks. */
  #events: SqlValue[][] | undefined;

  /** A transaction that touches rows more than `eventsMax` times is refused as soon as it does. */
  constructor(db: Database.Database, tables: readonly Table[], eventsMax: number) {
    this.#tables = tables;
    this.#eventsMax = eventsMax;
    // Without this, REPLACE deletes rows without telling anybody.
    db.pragma("recursive_triggers = ON");
    db.function(TOUCH, { varargs: true, safeIntegers: true }, (...event: unknown[]) => this.#note(event as SqlValue[]));
    tables.forEach((table, index) => createTriggers(db, table, index));
  }

  /** Begins to note touched rows, forgetting any noted before. */
  start(): void {
    this.#events = [];
  }

  /** The rows touched since `start`, each once, in the order first touched; noting ends. */
  take(): TouchedRow[] {
    const touched = new Map<string, TouchedRow>();
    const events = this.#events ?? [];
    this.#events = undefined;
    for (const event of events) this.#play(event, touched);
    return [...touched.values()];
  }

  #note(event: SqlValue[]): null {
    if (this.#events === undefined) return null;
    const [what, index, key] = event;
    if (what === EVENT.inserting) {
      this.#isWithoutKey = key === NO_KEY;
      return null;
    }
    if (what === EVENT.inserted && this.#isWithoutKey && key !== NO_KEY) {
      throw keyMadeUp(must(this.#tables[Number(index)], "a captured table"));
    }
    if (this.#events.length >= this.#eventsMax) {
      throw new AppError("transaction-too-large", `the transaction touches rows more than ${this.#eventsMax} times`, {
        hint: "Split it into smaller transactions.",
      });
    }
    this.#events.push(event);
    return null;
  }

  /** An event: what happened, table, key…, and what comes with it: the clock of a row that is gone, its app, its owner. */
  #play(event: readonly SqlValue[], touched: Map<string, TouchedRow>): void {
    const table = must(this.#tables[Number(event[1])], "a captured table");
    const rest = 2 + table.key.length;
    const row = touch(touched, table, event.slice(2, rest));
    if (event[0] === EVENT.gone) {
      if (!row.isMovedHere) row.gone ??= clockOf(event, rest);
      if (!row.isMovedHere) row.hiddenWas ??= hiddenIn(event, rest + CLOCK_COLUMNS.length + 2);
      row.appBefore ??= { app: appOf(event[rest + CLOCK_COLUMNS.length]) };
      row.ownerWas ??= { owner: ownerName(event[rest + CLOCK_COLUMNS.length + 1]) };
    } else if (event[0] === EVENT.movedHere) {
      row.isMovedHere = true;
      row.appBefore ??= { app: undefined };
      row.ownerWas ??= { owner: undefined };
    } else if (event[0] === EVENT.appChanged) {
      row.appBefore ??= { app: appOf(event[rest]) };
    } else if (event[0] === EVENT.ownerChanged) {
      row.ownerWas ??= { owner: ownerName(event[rest]) };
    }
  }
}

function touch(touched: Map<string, TouchedRow>, table: Table, key: readonly SqlValue[]): TouchedRow {
  assertKeyText(key);
  const keyBytes = encodeKey(key);
  const id = rowId(table.name, keyBytes);
  let row = touched.get(id);
  if (row === undefined) {
    const nothing = { gone: undefined, hiddenWas: undefined, appBefore: undefined, ownerWas: undefined };
    row = { table, key, keyBytes, isMovedHere: false, ...nothing };
    touched.set(id, row);
  }
  return row;
}

/** Two nodes would make up the same one for two rows, of which one would be lost. */
function keyMadeUp({ name, key }: Table): AppError {
  const [column = ""] = key;
  return new AppError("bad-request", `a row of ${name} has no ${column}`, {
    hint: "Give it one: two nodes would make up the same, and keep one of the two rows. Ids that need no agreement are text.",
    details: { field: column },
  });
}

function hiddenIn(event: readonly SqlValue[], at: number): readonly SqlValue[] | undefined {
  return event.length > at ? event.slice(at) : undefined;
}

function appOf(value: SqlValue | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

function createTriggers(db: Database.Database, table: Table, index: number): void {
  const rows = quoteName(table.rowsTable);
  // An INTEGER PRIMARY KEY is the rowid, which has names of its own.
  const rowids = ["rowid", "oid", "_rowid_"].filter((name) => !table.writable.has(name));
  const listOf = (names: readonly string[]): string => names.map(quoteName).join(", ");
  const keyOf = (row: string): string => table.key.map((name) => `${row}.${quoteName(name)}`).join(", ");
  const app = table.appColumn === undefined ? "NULL" : `OLD.${quoteName(table.appColumn)}`;
  const ownerColumn = table.values[table.ownerIndex]?.column;
  const owner = ownerColumn === undefined ? "NULL" : `OLD.${quoteName(ownerColumn)}`;
  const hidden = table.values.filter(({ isHidden }) => isHidden).map(({ column }) => `OLD.${quoteName(column)}`);
  const clock = CLOCK_COLUMNS.map((name) => `OLD.${name}`);
  const goneArgs = [keyOf("OLD"), ...clock, app, owner, ...hidden].join(", ");
  const isMoved = table.key.map((name) => `OLD.${quoteName(name)} IS NOT NEW.${quoteName(name)}`).join(" OR ");
  const moving = `AFTER UPDATE OF ${listOf([...table.key, ...rowids])}`;
  const trigger = (name: string, event: string, when: string, what: bigint, args: string): void => {
    db.exec(`CREATE TEMP TRIGGER ${quoteName(`_patina_${name}_${table.name}`)} ${event} ON main.${rows}
      ${when === "" ? "" : `WHEN ${when}`} BEGIN SELECT ${TOUCH}(${what}, ${index}, ${args}); END`);
  };
  if (table.isRowidKey) trigger("inserting", "BEFORE INSERT", "", EVENT.inserting, keyOf("NEW"));
  trigger("insert", "AFTER INSERT", "", table.isRowidKey ? EVENT.inserted : EVENT.written, keyOf("NEW"));
  trigger("delete", "AFTER DELETE", "", EVENT.gone, goneArgs);
  trigger("update", `AFTER UPDATE OF ${listOf([...table.insertColumns, ...rowids])}`, "", EVENT.written, keyOf("NEW"));
  trigger("leave", moving, isMoved, EVENT.gone, goneArgs);
  trigger("arrive", moving, isMoved, EVENT.movedHere, keyOf("NEW"));
  const onChange = (name: string, column: string | undefined, what: bigint): void => {
    if (column === undefined) return;
    const quoted = quoteName(column);
    const isChanged = `OLD.${quoted} IS NOT NEW.${quoted}`;
    trigger(name, `AFTER UPDATE OF ${quoted}`, isChanged, what, `${keyOf("OLD")}, OLD.${quoted}`);
  };
  onChange("app", table.appColumn, EVENT.appChanged);
  onChange("owner", ownerColumn, EVENT.ownerChanged);
}
