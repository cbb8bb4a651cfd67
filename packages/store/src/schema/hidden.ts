/** Tables and columns that the schema no longer has and the file still keeps: nobody sees them, nothing of them is lost. */
import { must } from "@patina/base";
import type Database from "better-sqlite3";
import { type Table, tableOf } from "../database/layout.js";
import { CHECKPOINTS_TABLE } from "../log/checkpoint-notes.js";
import { MEMBERS_TABLE } from "../log/members.js";
import { type Column, parseSchema, type Schema, type TableSchema } from "./schema.js";
import { SCHEMAS_TABLE } from "./schema-history.js";
import { quoteName } from "../sql/tokens.js";

interface Hidden {
  readonly tbl: string;
  /** Empty for a whole table. */
  readonly name: string;
  readonly definition: string;
}

/** Of what is put aside there is no column in the file: its values are with their rows' extras. */
export function hide(
  db: Database.Database,
  table: string,
  column: string,
  { definition, isAside = false }: { readonly definition: string; readonly isAside?: boolean },
): void {
  const kept = isAside ? ASIDE : definition;
  db.prepare("INSERT OR REPLACE INTO _patina_hidden VALUES (?, ?, ?)").run(table, column, kept);
}

export function unhide(db: Database.Database, table: string, column: string): void {
  db.prepare("DELETE FROM _patina_hidden WHERE tbl = ? AND name = ?").run(table, column);
}

/** Stands for the definition of a column that is in no table any more. */
const ASIDE = "";

/** A hidden table as it was last defined. */
export function hiddenTable(db: Database.Database, name: string): TableSchema | undefined {
  const row = hiddenIn(db).find((it) => it.tbl === name && it.name === "");
  return row && parseTable(row.definition);
}

/** Those that are in the table still. */
export function hiddenColumns(db: Database.Database, { name: table, options }: TableSchema): Column[] {
  return hiddenIn(db)
    .filter(({ tbl, name, definition }) => tbl === table && name !== "" && definition !== ASIDE)
    .map(({ name, definition }) => {
      const sql = `CREATE TABLE t (${quoteName(`key of ${name}`)} TEXT NOT NULL PRIMARY KEY, ${definition}) ${options}`;
      return must(parseSchema(sql).tables[0]?.columns[1], "a hidden column");
    });
}

export interface HiddenName {
  /** A table, or `table.column`. */
  readonly name: string;
  /** Lists of dropped names have commas between them and a point before a column: neither may be in a name. */
  readonly isDroppable: boolean;
}

export function hiddenNames(db: Database.Database): HiddenName[] {
  return hiddenIn(db).map(({ tbl, name }) => {
    return { name: name === "" ? tbl : `${tbl}.${name}`, isDroppable: !/[.,]/.test(`${tbl}${name}`) };
  });
}

/** The tables a file has, as the engine's statements need them: the schema's, hidden ones, and the engine's own that replicate. */
export function tablesOf(db: Database.Database, schema: Schema): Table[] {
  const hidden = hiddenIn(db).filter(({ name }) => name === "");
  return [
    tableOf(SCHEMAS_TABLE),
    tableOf(MEMBERS_TABLE),
    tableOf(CHECKPOINTS_TABLE),
    ...schema.tables.map((table) => tableOf(table, hiddenColumns(db, table))),
    ...hidden.map(({ definition }) => {
      const table = parseTable(definition);
      return { ...tableOf(table, hiddenColumns(db, table)), isHidden: true };
    }),
  ];
}

function parseTable(definition: string): TableSchema {
  return must(parseSchema(definition).tables[0], "a hidden table");
}

function hiddenIn(db: Database.Database): Hidden[] {
  return db.prepare("SELECT tbl, name, definition FROM _patina_hidden ORDER BY tbl, name").all() as Hidden[];
}
