/**
 * The second phase of a destructive change: what was hidden everywhere is erased, a slice of rows at a time. A row's hash is
 * taken anew without the column, so until every member is done their digests cannot be compared; each says so of its own.
 *
 *   hidden ──schema drop──► erasing ──last slice──► erased (a table is gone, a column holds nothing in any row)
 *
 * Rows that wait aside for a table that is not here, or is here with another key, count in the digest like those in tables: they
 * are erased after them. Of a name that is used again, what is stamped before is erased likewise: a member that was away may
 * have missed that it was ever dropped.
 */
import type { Hlc, SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import type { Digest } from "../check/digest.js";
import { splitName, stateWithout } from "./dropped-names.js";
import { unhide } from "./hidden.js";
import { CLOCK_COLUMNS, readMeta, writeMeta } from "../database/layout.js";
import type { Origins } from "../log/origins.js";
import type { Aside } from "../rows/aside.js";
import { decodeKey, encodeKey, encodeState, rowHash } from "../rows/row-codec.js";
import type { TableRows } from "../rows/rows.js";
import type { GoneNames } from "./schema-history.js";
import { quoteName } from "../sql/tokens.js";

export interface DropperParts {
  readonly db: Database.Database;
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly aside: Aside;
  readonly digest: Digest;
  readonly origins: Origins;
}

const ERASED = "erased";

/** What is to be erased: all of a table or column, or what of it is stamped before its name was used again. */
interface Erasure {
  readonly table: string;
  readonly column: string | undefined;
  readonly before: Hlc | undefined;
  /** What is noted when it is done. */
  readonly mark: string;
}

function erasureOf(name: string, before?: Hlc, version?: number): Erasure {
  const [table, column] = splitName(name);
  return { table, column, before, mark: version === undefined ? name : `${name}@${version}` };
}

/** What the engine keeps of a table's rows beside them, and is of no use without. */
const OF_ROWS = ["_patina_tombstones", "_patina_extras", "_patina_marks", "_patina_doubtful"];

export class Dropper {
  readonly #parts: DropperParts;
  /** What is still here. */
  readonly #left: Erasure[];
  #after: Uint8Array | undefined;
  /** Of the first of them, the rows in the table are done, and those that wait aside are next. */
  #isAside = false;

  constructor(parts: DropperParts, { dropped, reused }: GoneNames) {
    this.#parts = parts;
    const done = (readMeta(parts.db, ERASED) ?? "").split(",");
    const all = [
      ...dropped.map((name) => erasureOf(name)),
      ...reused.map(({ name, since, version }) => erasureOf(name, since, version)),
    ];
    this.#left = all.filter(({ mark }) => !done.includes(mark));
    // What was erased and is in use again may have to be erased again.
    const known = done.filter((it) => all.some(({ mark }) => mark === it));
    if (known.length < done.length) writeMeta(parts.db, ERASED, known.join(","));
  }

  get isDue(): boolean {
    return this.#left.length > 0;
  }

  /** Erases some rows. Call it inside a transaction of its connection. */
  sweep(rowsMax: number): void {
    const [erasure] = this.#left;
    if (erasure === undefined) return;
    const rows = this.#parts.rows.get(erasure.table);
    const keys = this.#isAside ? this.#sweepAside(erasure, rowsMax) : this.#sweepRows(rows, erasure, rowsMax);
    this.#after = keys.at(-1);
    if (keys.length === rowsMax) return;
    this.#after = undefined;
    if (this.#isAside) this.#finish(erasure, rows);
    this.#isAside = !this.#isAside;
  }

  #sweepRows(rows: TableRows | undefined, { column, before }: Erasure, rowsMax: number): Uint8Array[] {
    if (rows === undefined) return [];
    const keys = this.#next(rows, before, rowsMax);
    for (const key of keys) {
      if (column === undefined) this.#eraseRow(rows, key);
      else this.#eraseValue(rows, key, column);
    }
    return keys;
  }

  #sweepAside({ table, column, before }: Erasure, rowsMax: number): Uint8Array[] {
    const { db, aside, digest, origins } = this.#parts;
    const page = aside.page(db, table, { after: this.#after, before, rowsMax });
    for (const { key, row } of page) {
      if (column === undefined) {
        aside.drop(db, table, key);
        digest.add(table, key, -row.clock.hash);
        continue;
      }
      const state = stateWithout(row.state, [column]);
      const stamp = { ...row.clock, origin: origins.originOf(row.clock.origin) };
      const hash = rowHash(table, key, stamp, state);
      aside.put(db, table, key, { clock: { ...row.clock, hash }, state });
      digest.add(table, key, hash - row.clock.hash);
    }
    return page.map(({ key }) => key);
  }

  #next({ table }: TableRows, before: Hlc | undefined, rowsMax: number): Uint8Array[] {
    const key = table.key.map(quoteName).join(", ");
    const after = this.#after && decodeKey(this.#after, this.#after.length);
    const marks = table.key.map(() => "?").join(", ");
    const further = after === undefined ? [] : [`(${key}) > (${marks})`];
    const wanted = before === undefined ? further : [...further, `${CLOCK_COLUMNS[1]} < ?`];
    const where = wanted.length === 0 ? "" : `WHERE ${wanted.join(" AND ")}`;
    const sql = `SELECT ${key} FROM ${quoteName(table.rowsTable)} ${where} ORDER BY ${key} LIMIT ?`;
    const keys = this.#parts.db.prepare(sql).raw().safeIntegers(true);
    return (keys.all(...(after ?? []), ...(before === undefined ? [] : [before]), rowsMax) as SqlValue[][]).map(
      encodeKey,
    );
  }

  #eraseRow(rows: TableRows, keyBytes: Uint8Array): void {
    const key = decodeKey(keyBytes, keyBytes.length);
    const hash = rows.read(key, keyBytes)?.clock?.hash ?? 0n;
    rows.delete(key);
    rows.clearWaiting(keyBytes);
    this.#parts.digest.add(rows.table.name, keyBytes, -hash);
  }

  #eraseValue(rows: TableRows, keyBytes: Uint8Array, column: string): void {
    const key = decodeKey(keyBytes, keyBytes.length);
    const row = rows.read(key, keyBytes);
    if (row?.clock === undefined) return;
    const { table } = rows;
    const values = table.values.map(({ name, defaultValue }, i) =>
      name === column ? defaultValue : (row.values[i] ?? null),
    );
    const extras = row.extras.filter(([name]) => name !== column);
    const stamp = { ...row.clock, origin: this.#parts.origins.originOf(row.clock.origin) };
    const hash = rowHash(table.name, keyBytes, stamp, encodeState(table, values, extras));
    if (hash === row.clock.hash) return;
    const changed = table.values.flatMap(({ name }, i) => (name === column ? [i] : []));
    rows.update(key, changed, values, { ...row.clock, hash });
    rows.clearWaiting(keyBytes, extras);
    this.#parts.digest.add(table.name, keyBytes, hash - row.clock.hash);
  }

  #finish({ table, column, before, mark }: Erasure, rows: TableRows | undefined): void {
    const { db } = this.#parts;
    if (column === undefined && before !== undefined) {
      db.prepare("DELETE FROM _patina_tombstones WHERE tbl = ? AND hlc < ?").run(table, before);
    } else if (column === undefined) {
      for (const of of OF_ROWS) db.prepare(`DELETE FROM ${of} WHERE tbl = ?`).run(table);
      if (rows !== undefined) db.exec(`DROP TABLE ${quoteName(rows.table.rowsTable)}`);
      unhide(db, table, "");
    }
    writeMeta(db, ERASED, [...(readMeta(db, ERASED) ?? "").split(","), mark].filter((it) => it !== "").join(","));
    this.#left.shift();
  }
}
