/**
 * A schema: SQL text that says which tables a cluster replicates.
 *
 * The text is compiled by SQLite itself in a scratch database and then read back through pragmas, so what is accepted
 * is what SQLite understood. Refused, with the reason: whatever cannot converge (foreign keys, unique indexes beside
 * the primary key, defaults that differ by node) and whatever a peer without the column could not fill in (NOT NULL
 * without default). An annotation above a CREATE TABLE names the column that says whose row it is:
 *
 *   -- @app app_id
 *   -- @owner worker_id
 *   CREATE TABLE machines (…)
 */
import { createHash } from "node:crypto";
import { AppError, messageOf, type SqlValue } from "@patina/base";
import Database from "better-sqlite3";
import { type Affinity, affinityOf, isStoredAsIs } from "../rows/affinity.js";
import { isReserved } from "../sql/reserved.js";
import { isWord, nameOf, quoteName, statementsOf, type Token, tokenize } from "../sql/tokens.js";

export interface Column {
  readonly name: string;
  /** As written in the CREATE TABLE, for ALTER TABLE ADD COLUMN. */
  readonly definition: string;
  /** Type, NOT NULL, default and kind in one comparable text: two nodes must agree on it. */
  readonly signature: string;
  readonly affinity: Affinity;
  readonly isKey: boolean;
  readonly isGenerated: boolean;
  readonly isNullable: boolean;
  /** What a row that never wrote the column holds. */
  readonly defaultValue: SqlValue;
}

export interface TableSchema {
  readonly name: string;
  readonly createSql: string;
  readonly columns: readonly Column[];
  /** Primary key columns in key order. */
  readonly key: readonly string[];
  /** The key is the rowid, which SQLite makes up for a row that is written without one. */
  readonly isRowidKey: boolean;
  /** WITHOUT ROWID and STRICT, as the table has them. */
  readonly options: string;
  /** The checks that are of no column alone, in one comparable text: two nodes must agree on them, too. */
  readonly checks: string;
  /** The column that names the app a row belongs to, from `-- @app`. */
  readonly appColumn: string | undefined;
  /** The column that names the worker a row belongs to, from `-- @owner`: nobody else may write it. */
  readonly ownerColumn: string | undefined;
}

export interface NamedStatement {
  readonly name: string;
  readonly sql: string;
}

export interface Schema {
  readonly sql: string;
  /** SHA-256 of the text, 64 hex digits. */
  readonly hash: string;
  readonly tables: readonly TableSchema[];
  readonly indexes: readonly (NamedStatement & { readonly table: string })[];
  readonly views: readonly NamedStatement[];
}

/**
 * Compiles and checks schema text. Throws `schema-invalid` with the rule that was broken and where. `isInternal` is for the
 * engine's own tables, whose names nobody else may use.
 */
export function parseSchema(sql: string, isInternal = false): Schema {
  const scratch = new Database(":memory:");
  try {
    const statements = statementsOf(tokenize(sql)).map((tokens) => classify(sql, tokens, isInternal));
    for (const { sql: statement } of statements) execute(scratch, statement);
    const tables = statements.filter(({ kind }) => kind === "TABLE").map((it) => readTable(scratch, it, sql));
    return {
      sql,
      hash: createHash("sha256").update(sql).digest("hex"),
      tables,
      indexes: statements.filter(({ kind }) => kind === "INDEX").map((it) => readIndex(scratch, it)),
      views: statements.filter(({ kind }) => kind === "VIEW").map(({ name, sql: text }) => ({ name, sql: text })),
    };
  } finally {
    scratch.close();
  }
}

interface Statement extends NamedStatement {
  readonly kind: "TABLE" | "INDEX" | "VIEW";
  readonly tokens: readonly Token[];
}

function invalid(message: string, hint: string): AppError {
  return new AppError("schema-invalid", message, { hint });
}

function classify(sql: string, tokens: readonly Token[], isInternal: boolean): Statement {
  const start = tokens[0]?.start ?? 0;
  const text = sql.slice(start, tokens.at(-1)?.end ?? start);
  const line = sql.slice(0, start).split("\n").length;
  const kind = tokens[1]?.value;
  if (!isWord(tokens[0], "CREATE") || (kind !== "TABLE" && kind !== "INDEX" && kind !== "VIEW")) {
    const unique = isWord(tokens[1], "UNIQUE");
    const what = unique ? "a unique index" : `${tokens[0]?.text ?? ""} ${tokens[1]?.text ?? ""}`.trim();
    throw invalid(
      `line ${line}: ${what} is not allowed in a schema`,
      unique
        ? "Uniqueness beside the primary key cannot hold across replicas; make it part of the key."
        : "A schema holds CREATE TABLE, CREATE INDEX and CREATE VIEW only.",
    );
  }
  const nameAt = isWord(tokens[2], "IF") ? 5 : 2;
  const name = nameOf(tokens[nameAt]) ?? "";
  if (isReserved(name) && !isInternal) {
    throw invalid(`line ${line}: the name ${name} is reserved`, "Choose another name.");
  }
  if (tokens[nameAt + 1]?.text === ".") {
    throw invalid(`line ${line}: ${name}.… names a database`, "Leave the database out: there is one.");
  }
  if (kind === "TABLE" && tokens[nameAt + 1]?.text !== "(") {
    throw invalid(`line ${line}: table ${name} has no column list`, "CREATE TABLE … AS SELECT is not replicated.");
  }
  return { kind, name, sql: text, tokens };
}

function execute(scratch: Database.Database, sql: string): void {
  try {
    scratch.exec(sql);
  } catch (cause) {
    throw new AppError("schema-invalid", `the schema does not compile: ${messageOf(cause)}`, {
      cause,
      hint: "Try the file with the sqlite3 command line first.",
    });
  }
}

interface ColumnInfo {
  name: string;
  type: string;
  notnull: number;
  dflt_value: string | null;
  pk: number;
  hidden: number;
}

function readTable(scratch: Database.Database, statement: Statement, sql: string): TableSchema {
  const { name } = statement;
  const table = quoteName(name);
  const infos = scratch.pragma(`table_xinfo(${table})`) as ColumnInfo[];
  if ((scratch.pragma(`foreign_key_list(${table})`) as unknown[]).length > 0) {
    throw invalid(`table ${name} has a foreign key`, "A parent row may arrive after its child; drop the constraint.");
  }
  const indexes = scratch.pragma(`index_list(${table})`) as { name: string; origin: string; unique: number }[];
  if (indexes.some(({ origin, unique }) => unique === 1 && origin !== "pk")) {
    throw invalid(
      `table ${name} has a unique constraint`,
      "Uniqueness beside the primary key cannot hold across replicas.",
    );
  }
  if (statement.tokens.some((token) => isWord(token, "AUTOINCREMENT"))) {
    throw invalid(`table ${name} uses AUTOINCREMENT`, "Two nodes would issue the same number; use a text key.");
  }
  if (statement.tokens.some((token, i) => isWord(token, "ON") && isWord(statement.tokens[i + 1], "CONFLICT"))) {
    throw invalid(
      `table ${name} says what to do ON CONFLICT`,
      "Say it in the statement that writes; a replica may not.",
    );
  }
  const pkIndex = indexes.find(({ origin }) => origin === "pk");
  refuseCollation(scratch, name, pkIndex?.name);
  const { definitions, checks } = partsOf(statement, sql);
  const options = tableOptions(scratch, name);
  const isRowidKey = pkIndex === undefined;
  const context = { scratch, table: name, isStrict: options.includes("STRICT"), isRowidKey };
  const columns = infos.map((info) => readColumn(context, info, definitions.get(info.name.toLowerCase()) ?? ""));
  const key = infos.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  if (key.length === 0) throw invalid(`table ${name} has no primary key`, "Every replicated row needs a key.");
  const named = (what: string): string | undefined => annotatedColumn(sql, statement, what, columns);
  const annotations = { appColumn: named("app"), ownerColumn: named("owner") };
  return {
    name,
    createSql: statement.sql,
    columns,
    key: key.map((info) => info.name),
    isRowidKey,
    options,
    checks,
    ...annotations,
  };
}

/** The column an annotation names. */
function annotatedColumn(
  sql: string,
  statement: Statement,
  what: string,
  columns: readonly Column[],
): string | undefined {
  const wanted = annotation(sql, statement, what);
  if (wanted === undefined) return undefined;
  const column = columns.find(({ name }) => name === wanted);
  const mayOwn = column !== undefined && !column.isGenerated && !column.isKey && isStoredAsIs("name", column.affinity);
  if (column !== undefined && (what === "app" || mayOwn)) return wanted;
  const kind = what === "app" ? "column" : "column of text that can be written and is not in the key";
  throw invalid(`table ${statement.name}: @${what} names ${wanted}, which is no ${kind} of it`, "Name such a column.");
}

interface TableContext {
  readonly scratch: Database.Database;
  readonly table: string;
  readonly isStrict: boolean;
  /** The key is the rowid: it is never null, and always an integer. */
  readonly isRowidKey: boolean;
}

function tableOptions(scratch: Database.Database, table: string): string {
  const [info] = scratch.pragma(`table_list(${quoteName(table)})`) as { strict: number; wr: number }[];
  return [...(info?.strict === 1 ? ["STRICT"] : []), ...(info?.wr === 1 ? ["WITHOUT ROWID"] : [])].join(", ");
}

/** Keys that SQLite holds for equal must have equal bytes, or two nodes keep one row under two names. */
function refuseCollation(scratch: Database.Database, table: string, pkIndex: string | undefined): void {
  if (pkIndex === undefined) return;
  const parts = scratch.pragma(`index_xinfo(${quoteName(pkIndex)})`) as { key: number; name: string; coll: string }[];
  const bad = parts.find(({ key, coll }) => key === 1 && coll !== "BINARY");
  if (bad === undefined) return;
  throw invalid(`${table}.${bad.name} is in the primary key with collation ${bad.coll}`, "Leave the collation out.");
}

function readColumn(context: TableContext, info: ColumnInfo, definition: string): Column {
  const { table, isRowidKey } = context;
  const { name, pk, hidden, notnull, dflt_value: dflt } = info;
  if (isReserved(name)) throw invalid(`${table}.${name}: the name is reserved`, "Choose another name.");
  if (pk > 0 && notnull === 0 && !isRowidKey) {
    throw invalid(`${table}.${name} is in the primary key but may be null`, "Add NOT NULL to it.");
  }
  if (pk > 0 && (info.type === "" || info.type.toUpperCase() === "ANY")) {
    throw invalid(`${table}.${name} is in the primary key without a type`, "Give it one: 1 and 1.0 would be one key.");
  }
  const isGenerated = hidden === 2 || hidden === 3;
  if (pk === 0 && notnull === 1 && dflt === null && !isGenerated) {
    throw invalid(
      `${table}.${name} is NOT NULL without a default`,
      "Give it a DEFAULT: peers may write rows without it.",
    );
  }
  const signature = [info.type.toUpperCase(), notnull, dflt ?? "", pk, hidden, rulesOf(definition)].join("|");
  const defaultValue = pk > 0 || isGenerated ? null : evaluateDefault(context, info);
  const affinity = affinityOf(info.type, context.isStrict);
  const isNullable = notnull === 0 && pk === 0;
  return { name, definition, signature, affinity, isKey: pk > 0, isGenerated, isNullable, defaultValue };
}

/** What a definition says beside type, null, default and key: CHECK, COLLATE, the expression it is generated by. */
function rulesOf(definition: string): string {
  const tokens = tokenize(definition);
  const at = tokens.findIndex((token) => isWord(token, "CHECK", "COLLATE", "GENERATED", "AS"));
  return at === -1 ? "" : tokens.slice(at).map(({ value }) => value).join(" "); // prettier-ignore
}

/** The default as the column would store it, affinity included. It must be the same on every node and every day. */
function evaluateDefault(
  { scratch, table, isStrict: strict }: TableContext,
  { name, dflt_value: written, type }: ColumnInfo,
): SqlValue {
  if (written === null) return null;
  // In double quotes it is text here, to SQLite and to all who came to rely on that.
  const dflt = written.startsWith('"') ? `'${written.slice(1, -1).replaceAll("'", "''")}'` : written;
  const tokens = tokenize(dflt);
  const now = tokens.some((token) => isWord(token, "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"));
  if (now || tokens.some(({ text }) => text === "(")) {
    throw invalid(`${table}.${name} has a default that is not a constant`, "Peers would fill in different values.");
  }
  const isName = tokens.length === 1 && (tokens[0]?.kind === "quoted" || tokens[0]?.kind === "word");
  if (isName && !isWord(tokens[0], "NULL", "TRUE", "FALSE")) {
    throw invalid(`${table}.${name} has the name ${dflt} as its default`, "Write text in 'single quotes'.");
  }
  execute(scratch, "DROP TABLE IF EXISTS temp.probe");
  execute(scratch, `CREATE TEMP TABLE probe (k INTEGER, v ${type} DEFAULT (${dflt})) ${strict ? "STRICT" : ""}`);
  execute(scratch, "INSERT INTO temp.probe (k) VALUES (1)");
  return scratch.prepare("SELECT v FROM temp.probe").safeIntegers(true).pluck().get() as SqlValue;
}

function readIndex(scratch: Database.Database, { name, sql }: Statement): NamedStatement & { table: string } {
  const found = scratch
    .prepare("SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?")
    .pluck()
    .get(name);
  return { name, sql, table: String(found) };
}

/** What the column list says, by splitting it at its commas. */
interface TableParts {
  /** Column name in lower case → its definition text. */
  readonly definitions: ReadonlyMap<string, string>;
  readonly checks: string;
}

function partsOf(statement: Statement, sql: string): TableParts {
  const definitions = new Map<string, string>();
  const checks: string[] = [];
  const open = statement.tokens.findIndex(({ text }) => text === "(");
  let part: Token[] = [];
  for (const token of statement.tokens.slice(open + 1)) {
    const ends = (token.depth === 1 && token.text === ",") || (token.depth === 0 && token.text === ")");
    if (!ends) {
      part.push(token);
      continue;
    }
    const name = nameOf(part[0]);
    if (isWord(part[0], "CONSTRAINT", "CHECK", "PRIMARY", "UNIQUE", "FOREIGN")) checks.push(...checksIn(part));
    else if (name !== undefined) definitions.set(name.toLowerCase(), sql.slice(part[0]?.start, part.at(-1)?.end));
    part = [];
    if (token.text === ")") break;
  }
  return { definitions, checks: checks.join(" ") };
}

/** The checks among a table's constraints, whose names say nothing of what may be in a row. The key is compared by itself. */
function checksIn(part: readonly Token[]): string[] {
  const at = part.findIndex((token) => token.depth === 1 && isWord(token, "CHECK"));
  if (at === -1) return [];
  const end = part.findIndex((token, i) => i > at && token.depth === 1 && token.text === ")");
  // Text keeps its quotes: 'a' is no column.
  const check = part.slice(at, end + 1).map(({ kind, text, value }) => (kind === "string" ? text : value));
  return [check.join(" "), ...checksIn(part.slice(end + 1))];
}

/** `-- @key value` on the comment lines just above a statement. */
function annotation(sql: string, statement: Statement, key: string): string | undefined {
  const above = sql.slice(0, statement.tokens[0]?.start ?? 0).split("\n");
  above.pop();
  while (above.length > 0) {
    const line = above.pop()?.trim() ?? "";
    if (!line.startsWith("--")) return undefined;
    const match = /^--\s*@(\w+)\s+(\S+)/.exec(line);
    if (match?.[1] === key) return match[2];
  }
  return undefined;
}
