/**
 * One query kept live: its compiled statements, and what its clients know. After a change it asks for the row of each
 * changed key alone, and tells what became of it.
 */
import { assert, AppError, type SqlValue } from "@patina/base";
import { sqlError } from "@patina/store";
import type Database from "better-sqlite3";
import { bindParameters, type LiveParams } from "./live-parameters.js";
import { cellsText, keyText, LiveRows } from "./live-rows.js";
import { type LiveQueryRules, parseLiveQuery } from "./parse-live-query.js";

/** Keys of one table whose rows may have changed. */
export interface TableKeys {
  readonly table: string;
  readonly keys: readonly (readonly SqlValue[])[];
}

export class LiveQuery {
  readonly id: string;
  readonly hash: string;
  /** The table it reads, as the schema spells it. */
  readonly table: string;
  readonly columns: readonly string[];
  readonly known: LiveRows;
  readonly #sql: string;
  readonly #byKey: Database.Statement;
  readonly #all: Database.Statement;
  readonly #keyColumns: number;
  /** What is bound each time; the key's parameters are overwritten. */
  readonly #bound: Record<string, SqlValue>;

  /** Compiles it, and runs nothing. Throws `subscription-unsupported` or `sql-error`. */
  constructor(
    db: Database.Database,
    rules: LiveQueryRules,
    query: { id: string; hash: string; sql: string; params: LiveParams; changesKeptMax: number },
  ) {
    const parsed = parseLiveQuery(query.sql, rules);
    this.id = query.id;
    this.hash = query.hash;
    this.table = parsed.table.name;
    this.known = new LiveRows(query.changesKeptMax);
    this.#sql = query.sql;
    this.#keyColumns = parsed.table.key.length;
    this.#bound = bindParameters(parsed.parameters, query.params);
    try {
      const original = db.prepare(query.sql); // It must compile as it stands before anything is spliced from it.
      assert(original.readonly && original.reader, "a live query only reads");
      this.columns = original.columns().map(({ name }) => name);
      this.#all = db.prepare(parsed.rowsSql).raw().safeIntegers(true);
      this.#byKey = db.prepare(parsed.keySql).raw().safeIntegers(true);
    } catch (thrown) {
      throw sqlError(thrown);
    }
    assert(this.#all.columns().length === this.columns.length + this.#keyColumns, "the key follows the columns");
  }

  /** Throws `subscription-unknown` when the schema has changed what its text means: its clients know of other columns. */
  assertSameColumns(db: Database.Database): void {
    const columns = columnsOf(db, this.#sql);
    if (columns?.length === this.columns.length && columns.every((name, i) => name === this.columns[i])) return;
    throw new AppError("subscription-unknown", `the schema changed, and with it the columns of live query ${this.id}`, {
      hint: "Subscribe again.",
    });
  }

  /** Runs it for the first time. Throws `too-many` beyond `rowsMax` rows, or `sql-error`. */
  start(rowsMax: number): void {
    this.#forEachRow(rowsMax, (key, cells) => this.known.start(key, cells));
  }

  /** The change lines for these keys. Throws `sql-error` when the query cannot be evaluated on a row of theirs. */
  recheck(keys: TableKeys["keys"], out: string[]): void {
    for (const key of keys) {
      assert(key.length === this.#keyColumns, "a key has a value for each of its columns");
      for (const [i, value] of key.entries()) this.#bound[`k${i}`] = value;
      const asked = keyText(key);
      const found = this.#read();
      // A key that compares equal but is spelled otherwise (NOCASE, 1 and 1.0) is another row to whoever keeps them.
      if (found?.key !== asked) push(out, this.known.remove(asked));
      if (found !== undefined) push(out, this.known.put(found.key, found.cells));
    }
  }

  /** The change lines after running the whole query again: for when it is not known which keys changed. */
  rescan(rowsMax: number, out: string[]): void {
    const gone = new Set(this.known.keys());
    const puts: [key: string, cells: string][] = [];
    this.#forEachRow(rowsMax, (key, cells) => {
      gone.delete(key);
      puts.push([key, cells]);
    });
    for (const key of gone) push(out, this.known.remove(key));
    for (const [key, cells] of puts) push(out, this.known.put(key, cells));
  }

  #read(): { key: string; cells: string } | undefined {
    try {
      const row = this.#byKey.get(this.#bound) as SqlValue[] | undefined;
      return row === undefined ? undefined : this.#split(row);
    } catch (thrown) {
      throw sqlError(thrown);
    }
  }

  #forEachRow(rowsMax: number, take: (key: string, cells: string) => void): void {
    let count = 0;
    try {
      for (const row of this.#all.iterate(this.#bound) as IterableIterator<SqlValue[]>) {
        if (++count > rowsMax) throw tooManyRows(rowsMax);
        const { key, cells } = this.#split(row);
        take(key, cells);
      }
    } catch (thrown) {
      throw thrown instanceof AppError ? thrown : sqlError(thrown);
    }
  }

  #split(row: readonly SqlValue[]): { key: string; cells: string } {
    const at = this.columns.length;
    return { key: keyText(row.slice(at)), cells: cellsText(row.slice(0, at)) };
  }
}

export function tooManyRows(rowsMax: number): AppError {
  return new AppError("too-many", `the live query would hold more than ${rowsMax} rows`, {
    hint: "Narrow its WHERE, or close live queries that are not needed.",
  });
}

function push(out: string[], line: string | undefined): void {
  if (line !== undefined) out.push(line);
}

/** Undefined for a text that means nothing any more. */
function columnsOf(db: Database.Database, sql: string): readonly string[] | undefined {
  try {
    return db
      .prepare(sql)
      .columns()
      .map(({ name }) => name);
  } catch {
    return undefined; // The caller says that it is not what it was.
  }
}
