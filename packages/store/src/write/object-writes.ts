/**
 * Whole objects, the fast way in: no SQL of the user's, no triggers. A row is read once and compared; what would leave it
 * as it is costs nothing more.
 */
import { type Hlc, type HlcClock, must, type RowWrite, type SqlValue } from "@patina/base";
import { isStoredAsIs } from "../rows/affinity.js";
import { checkCondition, columnUnknown, keyMissing, tableNamed, tagAt } from "./object.js";
import type { Origins } from "../log/origins.js";
import { extrasLeft, isUnchanged, type Pending } from "../rows/pending.js";
import { encodeKey, encodeState, rowId } from "../rows/row-codec.js";
import { changedColumns, type StoredRow, type TableRows, UNSTAMPED } from "../rows/rows.js";
import { assertKeyText, notUnicode } from "../rows/text.js";

/** A whole-object write and the row it is about, its key as the table keeps it. */
interface Target {
  readonly write: RowWrite;
  readonly rows: TableRows;
  readonly key: readonly SqlValue[];
  readonly keyBytes: Uint8Array;
  /** All writes of the row, in order, when there are several: each has a condition to keep, whichever counts. */
  readonly all?: readonly RowWrite[];
}

/** What is known of a row before its new state is. */
type Known = Omit<Pending, "state" | "values" | "todo">;

export class ObjectWrites {
  readonly #clock: HlcClock;
  readonly #origins: Origins;

  constructor(clock: HlcClock, origins: Origins) {
    this.#clock = clock;
    this.#origins = origins;
  }

  /** What the writes will change. Throws `sql-error` or `bad-request` for an object that its table cannot take. */
  pending(writes: readonly RowWrite[], tables: ReadonlyMap<string, TableRows>): Pending[] {
    const pending: Pending[] = [];
    for (const target of targetsOf(writes, tables)) {
      const row = this.#pendingRow(target);
      if (row !== undefined) pending.push(row);
    }
    return pending;
  }

  /** The version tag of the one object a write is about, as it is now; undefined when it is not there. */
  tagOf(write: RowWrite, tables: ReadonlyMap<string, TableRows>): string | undefined {
    const { rows, key, keyBytes } = targetOf(write, tables);
    return tagAt(rows.read(key, keyBytes)?.clock, this.#origins);
  }

  /** What one write would make of its row; nothing when it is as it was, or newer already. */
  #pendingRow({ write, rows, key, keyBytes, all }: Target): Pending | undefined {
    const { values, deleted, stamp, condition } = write;
    const current = rows.read(key, keyBytes);
    if (all !== undefined || condition !== undefined) this.#judge(all ?? [write], current);
    const buried = current === undefined ? rows.tombstone(keyBytes) : undefined;
    const waiting = current === undefined ? rows.readAside(keyBytes) : undefined;
    const before = current?.clock ?? waiting?.clock;
    const last = before ?? buried;
    if (stamp !== undefined && last !== undefined && isOlder(stamp, last)) return undefined;
    // An equal stamp with another content is a repair of that very row: it must win here and everywhere.
    const isRepeated = stamp !== undefined && last !== undefined && isSame(stamp, last);
    const hlc = isRepeated ? stamp.hlc + 1n : stamp?.hlc;
    if (hlc !== undefined) this.#clock.observe(hlc); // So that a later unstamped write of the row wins, too.
    const appBefore = rows.appOf(key, current?.values);
    const epoch = stamp?.epoch ?? last?.epoch ?? 0;
    const ownerBefore = waiting === undefined ? rows.ownerOf(current?.values) : rows.ownerAside(waiting);
    const was = { isBuried: buried !== undefined, appBefore, ownerBefore };
    const known = { rows, key, keyBytes, before, epoch, hlc, extras: [], ...was };
    if (deleted === true) {
      // Without a stamp of its own, deleting what is not there says nothing; with one, it must outlive older writes.
      if (before === undefined && (stamp === undefined || isRepeated)) return undefined;
      return { ...known, state: undefined, values: undefined, todo: current === undefined ? "stamp" : "delete" };
    }
    return this.#pendingValues(known, current, values);
  }

  /** Each write finds the row as the one before it would have left it: there or not, and at a version that nobody has named. */
  #judge(writes: readonly RowWrite[], current: StoredRow | undefined): void {
    let [exists, tag] = [current !== undefined, tagAt(current?.clock, this.#origins)];
    for (const write of writes) {
      if (write.condition !== undefined) checkCondition(write, write.condition, exists, tag);
      [exists, tag] = [write.deleted !== true, undefined];
    }
  }

  #pendingValues(known: Known, current: StoredRow | undefined, given: RowWrite["values"]): Pending | undefined {
    const { rows, key, keyBytes, before } = known;
    const { table } = rows;
    const next: SqlValue[] = [];
    let isSteady = true;
    for (const [i, { name, defaultValue, affinity, isHidden }] of table.values.entries()) {
      const value = isHidden ? (current?.values[i] ?? defaultValue) : valueIn(given, name, defaultValue);
      if (typeof value === "string" && !value.isWellFormed()) throw notUnicode(`${table.name}.${name}`, name);
      isSteady &&= isStoredAsIs(value, affinity);
      next.push(value);
    }
    if (isSteady) {
      if (current === undefined) return { ...known, state: encodeState(table, next), values: next, todo: "insert" };
      const update = changedColumns(current.values, next);
      if (update.length === 0) return undefined;
      const extras = extrasLeft(table, next, current.extras);
      return { ...known, state: encodeState(table, next, extras), values: next, extras, todo: { update } };
    }
    // Values that their columns may change: what they become is known once they are written.
    rows.upsert(key, next, before ?? UNSTAMPED);
    const { values, extras: there } = must(rows.read(key, keyBytes), "a row just written");
    const extras = extrasLeft(table, values, there);
    const state = encodeState(table, values, extras);
    if (before !== undefined && isUnchanged(this.#origins, rows.table, keyBytes, before, state)) return undefined;
    return { ...known, state, values, extras, todo: "stamp" };
  }
}

/** The rows to write, each once: a change says one thing of a row. The later write counts, unless its stamp is older. */
function targetsOf(writes: readonly RowWrite[], tables: ReadonlyMap<string, TableRows>): Iterable<Target> {
  if (writes.length === 1) return writes.map((write) => targetOf(write, tables));
  const targets = new Map<string, Target>();
  const repeated = new Map<string, RowWrite[]>();
  for (const write of writes) {
    const target = targetOf(write, tables);
    const id = rowId(write.table, target.keyBytes);
    const earlier = targets.get(id);
    if (earlier === undefined) {
      targets.set(id, target);
      continue;
    }
    const all = repeated.get(id) ?? [earlier.write];
    repeated.set(id, all);
    all.push(write);
    const { stamp } = earlier.write;
    const isBeaten = stamp !== undefined && write.stamp !== undefined && isOlder(write.stamp, stamp);
    targets.set(id, { ...(isBeaten ? earlier : target), all });
  }
  return targets.values();
}

function targetOf(write: RowWrite, tables: ReadonlyMap<string, TableRows>): Target {
  const { table: name, values } = write;
  const rows = tableNamed(name, tables);
  const { table } = rows;
  for (const column of Object.keys(values)) {
    if (!table.writable.has(column)) throw columnUnknown(table, column);
  }
  const given = table.key.map((column) => {
    const value = valueIn(values, column, null);
    if (value === null) throw keyMissing(table, column);
    return value;
  });
  assertKeyText(given);
  const key = rows.storedKey(given);
  return { write, rows, key, keyBytes: encodeKey(key) };
}

/** A column's value, null included; `absent` when the object leaves the column out. */
function valueIn<T>(values: RowWrite["values"], column: string, absent: T): SqlValue | T {
  const value = Object.hasOwn(values, column) ? values[column] : undefined;
  return value === undefined ? absent : value;
}

type RowStamp = { readonly epoch: number; readonly hlc: Hlc };

function isOlder(stamp: RowStamp, than: RowStamp): boolean {
  return stamp.epoch !== than.epoch ? stamp.epoch < than.epoch : stamp.hlc < than.hlc;
}

function isSame(a: RowStamp, b: RowStamp): boolean {
  return a.epoch === b.epoch && a.hlc === b.hlc;
}
