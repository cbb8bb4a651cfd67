/** A row that a local write will leave changed, before the write has a version. */
import type { ChangedRow, Hlc, SqlValue } from "@patina/base";
import { isSameValue } from "./affinity.js";
import type { Extra } from "./extras.js";
import type { Table } from "../database/layout.js";
import type { Mark } from "./marks.js";
import type { Origins } from "../log/origins.js";
import { rowHash } from "./row-codec.js";
import type { HashedClock, TableRows } from "./rows.js";

export interface Pending {
  readonly rows: TableRows;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
  readonly before: HashedClock | undefined;
  /** Undefined for a delete, like `values`. */
  readonly state: Uint8Array | undefined;
  readonly values: readonly SqlValue[] | undefined;
  /** What the row keeps in columns that the schema does not have. */
  readonly extras: readonly Extra[];
  readonly appBefore: string | undefined;
  /** Whose row it was, while it is there. */
  readonly ownerBefore: string | undefined;
  readonly epoch: number;
  /** Given by the owners' rules, like the epoch. */
  readonly mark?: Mark;
  /** Its epoch is a new one, likewise. */
  readonly beginsEpoch?: true;
  /** It is taken from whoever has it. */
  readonly isClaim?: true;
  /** Given by the writer, e.g. a summary row that carries its region's high-water; else the version's own. */
  readonly hlc: Hlc | undefined;
  /** A tombstone of the row is there, and must go when the row comes back. */
  readonly isBuried: boolean;
  /** What is still to be done to the row itself: nothing but its clock, everything, or the columns that change. */
  readonly todo: "stamp" | "insert" | "delete" | { readonly update: readonly number[] };
}

/** The extras that a local write leaves: one that stands for a column goes when something is written there. */
export function extrasLeft(table: Table, values: readonly SqlValue[], extras: readonly Extra[]): readonly Extra[] {
  if (extras.length === 0) return extras;
  return extras.filter(([name]) => {
    const index = table.values.findIndex((column) => column.name === name);
    return index === -1 || isSameValue(values[index] ?? null, table.values[index]?.defaultValue ?? null);
  });
}

/** Does the row's hash say that this is its state already? */
export function isUnchanged(
  origins: Origins,
  table: Table,
  key: Uint8Array,
  before: HashedClock,
  state: Uint8Array,
): boolean {
  return rowHash(table.name, key, { ...before, origin: origins.originOf(before.origin) }, state) === before.hash;
}

export function changedRow({ rows, key, state, values, appBefore }: Pending): ChangedRow {
  const kind = state === undefined ? "delete" : "upsert";
  return { table: rows.table.name, key, kind, appBefore, app: rows.appOf(key, values) };
}
