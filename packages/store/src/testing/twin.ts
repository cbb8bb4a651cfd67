/**
 * A store's twin: a plain SQLite database with the user's schema as it was written and none of the engine. What a user's
 * SQL does to it is what it must do to the store, and what the oracle says has won is written to it row by row.
 */
import { must, type RowWrite, type SqlValue, type Write } from "@patina/base";
import Database from "better-sqlite3";
import { type BookRow, idOf, textOf } from "./book.js";

interface TwinTable {
  readonly name: string;
  readonly key: readonly string[];
  /** Columns that are stored, the key left out. */
  readonly values: readonly string[];
  readonly defaults: ReadonlyMap<string, SqlValue>;
}

const quoted = (name: string): string => `"${name}"`;

export class Twin {
  readonly #db: Database.Database;
  readonly #tables: ReadonlyMap<string, TwinTable>;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(schemaSql: string) {
    this.#db = new Database(":memory:");
    this.#db.exec(schemaSql);
    const names = this.#db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
    for (const name of names) refuseMadeUpKeys(this.#db, name);
    this.#tables = new Map(names.map((name) => [name, readTable(this.#db, name)]));
  }

  get tables(): readonly string[] {
    return [...this.#tables.keys()];
  }

  close(): void {
    this.#db.close();
  }

  /** A write by the book: its rows per statement, or undefined when it fails as a whole and leaves nothing. */
  run(write: Write): number[] | undefined {
    this.#db.exec("BEGIN");
    try {
      const rows =
        write.kind === "rows"
          ? write.rows.map((row) => this.#put(row))
          : (write.kind === "statements" ? write.statements : []).map(
              ({ sql, params }) => this.#prepare(sql).run(...(params as SqlValue[])).changes,
            );
      this.#db.exec("COMMIT");
      return rows;
    } catch {
      this.#db.exec("ROLLBACK");
      return undefined;
    }
  }

  /** Has it the row's table, with such a key? Rows of others are kept out of sight. */
  has({ table, key }: BookRow): boolean {
    return this.#tables.get(table)?.key.length === key.length;
  }

  /** Writes the row that won. Cells of columns that are not here, or would not keep them, are kept out of sight. */
  set({ table, key, cells }: BookRow): void {
    const { key: names, values: columns, defaults } = this.#table(table);
    const at = Object.fromEntries(names.map((name, i) => [name, key[i] ?? null]));
    if (cells === undefined) return void this.#put({ table, values: at, deleted: true });
    const known = Object.fromEntries([...cells].filter(([column]) => columns.includes(column)));
    this.#put({ table, values: { ...at, ...known } });
    const where = names.map((name) => `${quoted(name)} = ?`).join(" AND ");
    const sql = `SELECT ${columns.map(quoted).join(", ")} FROM ${quoted(table)} WHERE ${where}`;
    const kept = this.#prepare(sql)
      .raw()
      .safeIntegers(true)
      .get(...key) as SqlValue[];
    const unfit = columns.filter((column, i) => column in known && textOf(kept[i]) !== textOf(known[column]));
    const shown = Object.fromEntries(unfit.map((column) => [column, defaults.get(column) ?? null]));
    this.#put({ table, values: { ...at, ...known, ...shown } });
  }

  /** Every row a user sees, generated columns included, as text. */
  rowsText(read: (sql: string) => SqlValue[][] = (sql) => this.read(sql)): string {
    const texts = [...this.#tables.values()].map(({ name, key }) => {
      const rows = read(`SELECT * FROM ${quoted(name)} ORDER BY ${key.map(quoted).join(", ")}`);
      return `${name}\n${rows.map((row) => row.map(textOf).join("|")).join("\n")}`;
    });
    return texts.join("\n");
  }

  read(sql: string): SqlValue[][] {
    return this.#prepare(sql).raw().safeIntegers(true).all() as SqlValue[][];
  }

  /** By id, the stored columns of every row as text. Two of these tell what a write did. */
  states(): Map<string, string> {
    const states = new Map<string, string>();
    for (const { name, key, values } of this.#tables.values()) {
      const rows = this.read(`SELECT ${[...key, ...values].map(quoted).join(", ")} FROM ${quoted(name)}`);
      for (const row of rows) {
        const id = idOf({ table: name, key: row.slice(0, key.length) });
        states.set(id, row.slice(key.length).map(textOf).join("|"));
      }
    }
    return states;
  }

  /** A row's cells with the defaults filled in, as `states` says them. */
  fill({ table, cells }: BookRow): string {
    const { values, defaults } = this.#table(table);
    return values.map((name) => textOf(cells?.has(name) === true ? cells.get(name) : defaults.get(name))).join("|");
  }

  /** The key in a whole object, in key order. */
  keyOf({ table, values }: RowWrite): SqlValue[] {
    return this.#table(table).key.map((column) => values[column] ?? null);
  }

  #put({ table: name, values, deleted }: RowWrite): number {
    const { key } = this.#table(name);
    const where = key.map((column) => `${quoted(column)} = ?`).join(" AND ");
    const at = key.map((column) => values[column] ?? null);
    if (deleted === true) return this.#prepare(`DELETE FROM ${quoted(name)} WHERE ${where}`).run(...at).changes;
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    const columns = given.map(([column]) => quoted(column)).join(", ");
    const marks = given.map(() => "?").join(", ");
    const sql = `INSERT OR REPLACE INTO ${quoted(name)} (${columns}) VALUES (${marks})`;
    return this.#prepare(sql).run(...given.map(([, value]) => value)).changes;
  }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #table(name: string): TwinTable {
    return must(this.#tables.get(name), `a table ${name}`);
  }
}

/** The one thing that a store does not take though SQLite would. No write of the oracle's has a key of -1. */
function refuseMadeUpKeys(db: Database.Database, table: string): void {
  const keys = (db.pragma(`table_info(${quoted(table)})`) as { name: string; pk: number }[]).filter(({ pk }) => pk > 0);
  const indexes = db.pragma(`index_list(${quoted(table)})`) as { origin: string }[];
  if (indexes.some(({ origin }) => origin === "pk")) return;
  db.exec(`CREATE TRIGGER ${quoted(`${table} keys`)} BEFORE INSERT ON ${quoted(table)} WHEN NEW.${quoted(must(keys[0], "a key").name)} = -1
    BEGIN SELECT RAISE(ABORT, 'a row without a key'); END`);
}

function readTable(db: Database.Database, name: string): TwinTable {
  const columns = db.pragma(`table_xinfo(${quoted(name)})`) as {
    name: string;
    pk: number;
    hidden: number;
    dflt_value: string | null;
  }[];
  const stored = columns.filter(({ hidden }) => hidden === 0);
  const key = stored.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk).map((column) => column.name); // prettier-ignore
  const values = stored.filter(({ pk }) => pk === 0).map((column) => column.name);
  return { name, key, values, defaults: readDefaults(db, name, key, values) };
}

/** What a row holds that names its key alone, as SQLite itself stores it. */
function readDefaults(
  db: Database.Database,
  name: string,
  key: readonly string[],
  values: readonly string[],
): Map<string, SqlValue> {
  if (values.length === 0) return new Map();
  db.exec(
    `BEGIN; INSERT INTO ${quoted(name)} (${key.map(quoted).join(", ")}) VALUES (${key.map(() => "1").join(", ")})`,
  );
  const read = db
    .prepare(`SELECT ${values.map(quoted).join(", ")} FROM ${quoted(name)}`)
    .raw()
    .safeIntegers(true);
  const row = read.get() as SqlValue[];
  db.exec("ROLLBACK");
  return new Map(values.map((column, i) => [column, row[i] ?? null]));
}
