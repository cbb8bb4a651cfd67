/**
 * Rows that change hands because somebody asked for just that. What is asked is judged by the row as it is inside the
 * transaction: a row is handed over by its owner only, and a claim ends the epoch of whoever has it.
 */
import { AppError, type Handoff, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { tableNamed } from "./object.js";
import type { Owners } from "../owners/ownership.js";
import { extrasLeft, type Pending } from "../rows/pending.js";
import { encodeKey, encodeState, rowId } from "../rows/row-codec.js";
import { changedColumns, type TableRows } from "../rows/rows.js";
import { assertKeyText, assertUnicode } from "../rows/text.js";

export class HandoffWrites {
  readonly #owners: Owners;

  constructor(owners: Owners) {
    this.#owners = owners;
  }

  /** What the hand-overs will change. Throws `row-absent`, `table-unknown`, or `bad-request` for what no table here can do. */
  pending(db: Database.Database, handoffs: readonly Handoff[], tables: ReadonlyMap<string, TableRows>): Pending[] {
    const pending = new Map<string, Pending>();
    for (const handoff of handoffs) {
      const rows = rowsOf(handoff, tables);
      const key = rows.storedKey(keyOf(handoff, rows.table.key));
      const keyBytes = encodeKey(key);
      const id = rowId(handoff.table, keyBytes);
      if (pending.has(id)) throw new AppError("bad-request", `${handoff.table} names one row twice`);
      const row = this.#pendingRow(db, handoff, rows, { key, keyBytes });
      if (row !== undefined) pending.set(id, row);
    }
    return [...pending.values()];
  }

  #pendingRow(
    db: Database.Database,
    { to }: Handoff,
    rows: TableRows,
    { key, keyBytes }: Pick<Pending, "key" | "keyBytes">,
  ): Pending | undefined {
    const { table } = rows;
    if (to !== undefined) assertUnicode(to, "the new owner's name");
    const current = rows.read(key, keyBytes);
    if (current === undefined) {
      throw new AppError("row-absent", `${table.name} has no such row`, {
        hint: "Look it up here first; it may not have arrived at this agent yet.",
      });
    }
    const before = must(current.clock, "the clock of a row between writes");
    const values = current.values.slice(0, table.values.length);
    values[table.ownerIndex] = to ?? this.#owners.self.worker;
    const update = changedColumns(current.values, values);
    const isClaim = to === undefined;
    // Taking what one has already says something only when somebody else believes to have it, too.
    const isDoubtful = isClaim && this.#owners.contests.isDoubtful(db, table.name, keyBytes, before.epoch);
    if (update.length === 0 && !isDoubtful) return undefined;
    const extras = extrasLeft(table, values, current.extras);
    const app = rows.appOf(key, current.values);
    return {
      ...{ rows, key, keyBytes, before, values, extras, epoch: before.epoch, hlc: undefined, isBuried: false },
      ...{ state: encodeState(table, values, extras), appBefore: app, ownerBefore: rows.ownerOf(current.values) },
      ...{ todo: { update }, ...(isClaim ? { isClaim } : {}) },
    };
  }
}

function rowsOf({ table: name }: Handoff, tables: ReadonlyMap<string, TableRows>): TableRows {
  const rows = tableNamed(name, tables);
  if (rows.table.ownerIndex !== -1) return rows;
  throw new AppError("bad-request", `rows of ${name} have no owner`, {
    hint: "Name the owner's column above the table: -- @owner COLUMN.",
  });
}

/** The key's values in key order. */
function keyOf({ table, key }: Handoff, columns: readonly string[]): SqlValue[] {
  const given = Array.isArray(key) ? (key as readonly SqlValue[]) : undefined;
  const named = key as Readonly<Record<string, SqlValue>>;
  const size = given?.length ?? Object.keys(named).length;
  const values = columns.map((column, i) => given?.[i] ?? (given || !Object.hasOwn(named, column) ? null : named[column]) ?? null); // prettier-ignore
  if (size !== columns.length || values.includes(null)) {
    throw new AppError("bad-request", `the key of ${table} is (${columns.join(", ")})`, {
      hint: "Give all of its values, in that order or by column.",
    });
  }
  assertKeyText(values);
  return values;
}
