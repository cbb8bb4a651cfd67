/**
 * Which SELECTs can be kept live, and how they are taken apart.
 *
 * A live query is answered again one key at a time, so each of its rows must come from exactly one row of one table and
 * from nothing else: no other row, no clock, no chance. What is not of that shape is refused with the reason, since an
 * answer that silently goes stale is worse than none. Two texts come out of
 *
 *   SELECT state FROM machines m WHERE app = ?
 *   SELECT state, "m"."id" FROM machines m WHERE (app = @p1)                          every row, with its key
 *   SELECT state, "m"."id" FROM machines m WHERE (app = @p1) AND "m"."id" = @k0       the row of one key
 *
 * They are spliced by token spans and are only safe to run when SQLite has compiled the original text as it stands:
 * that is what proves the parentheses balanced.
 */
import { AppError } from "@patina/base";
import { isWord, nameOf, quoteName, type Token, tokenize } from "@patina/store";
import { numberParameters, type Parameters, textOf } from "./live-parameters.js";

export interface KeyedTable {
  readonly name: string;
  /** Primary key columns in key order. */
  readonly key: readonly string[];
}

/** A row of SQLite's own `pragma function_list`. */
export interface SqlFunction {
  readonly isScalar: boolean;
  readonly isDeterministic: boolean;
  /** Negative: any number of them. */
  readonly argumentCount: number;
}

export interface LiveQueryRules {
  readonly tables: readonly KeyedTable[];
  readonly functions: ReadonlyMap<string, readonly SqlFunction[]>;
}

export interface ParsedLiveQuery {
  readonly table: KeyedTable;
  readonly parameters: Parameters;
  /** All rows; the key columns follow the user's. */
  readonly rowsSql: string;
  /** The row of the key bound as `@k0`, `@k1`, … */
  readonly keySql: string;
}

type Refusal = readonly [what: string, hint: string];

const JOIN: Refusal = ["a join", "Subscribe to each table and join in the client."];
const GROUP: Refusal = ["GROUP BY or HAVING", "Subscribe to the rows and group them in the client."];
const ORDER: Refusal = ["ORDER BY or LIMIT", "Subscribe to all rows and sort or cut them in the client."];
const COMPOUND: Refusal = ["UNION, INTERSECT or EXCEPT", "Open one subscription for each SELECT."];
const SUBQUERY: Refusal = ["a subquery", "Subscribe to the inner table too, and combine them in the client."];
const WINDOW: Refusal = ["a window", "Subscribe to the rows and compute it in the client."];
const DISTINCT: Refusal = ["DISTINCT", "Subscribe to all rows and fold equal ones in the client."];
const TIME: Refusal = ["the current time", "Compute it in the program and pass it as a parameter."];
const INDEXED: Refusal = ["INDEXED BY", "Leave the choice of an index to SQLite."];

/** Words that end a WHERE or stand where it could begin. None of them can be a bare name in SQL there. */
const CLAUSES: ReadonlyMap<string, Refusal> = new Map([
  ...["JOIN", "NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS", "ON", "USING"].map(
    (it) => [it, JOIN] as const,
  ),
  ...["GROUP", "HAVING"].map((it) => [it, GROUP] as const),
  ...["ORDER", "LIMIT"].map((it) => [it, ORDER] as const),
  ...["UNION", "INTERSECT", "EXCEPT"].map((it) => [it, COMPOUND] as const),
  ...["INDEXED", "NOT"].map((it) => [it, INDEXED] as const),
  ["WINDOW", WINDOW],
]);

/** The clauses whose words no expression has at depth 0 either. */
const CLOSED = new Set(["GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "INTERSECT", "EXCEPT"]);

/** Each of them can mean "now", by its argument or without one, and SQLite itself calls them deterministic. */
const TIME_FUNCTIONS = new Set(["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"]);

/** Takes a SELECT apart. Throws `subscription-unsupported` with the reason; what it lets through must still compile. */
export function parseLiveQuery(sql: string, rules: LiveQueryRules): ParsedLiveQuery {
  const tokens = oneStatement(sql);
  assertSelect(tokens);
  const fromAt = tokens.findIndex(
    (token, i) => token.depth === 0 && isWord(token, "FROM") && !isWord(tokens[i - 1], "DISTINCT"),
  );
  const list = tokens.slice(1, fromAt === -1 ? tokens.length : fromAt);
  if (isWord(list[0], "DISTINCT")) throw refused(DISTINCT);
  assertPerRow(list, rules);
  if (fromAt === -1) throw refused(["no table to watch", "Add FROM and a table of the schema."]);
  const source = readSource(tokens, fromAt + 1, rules);
  const where = tokens.slice(source.end + 1);
  assertPerRow(where, rules);

  const parameters = numberParameters(tokens);
  const keys = source.table.key.map((column) => `${quoteName(source.alias)}.${quoteName(column)}`);
  const from = textOf(sql, tokens.slice(fromAt, source.end), parameters);
  const select = `SELECT ${textOf(sql, list, parameters)}, ${keys.join(", ")} ${from}`;
  const condition = where.length === 0 ? "" : `(${textOf(sql, where, parameters)})`;
  const isKey = keys.map((column, i) => `${column} = @k${i}`).join(" AND ");
  return {
    table: source.table,
    parameters,
    rowsSql: condition === "" ? select : `${select} WHERE ${condition}`,
    keySql: `${select} WHERE ${condition === "" ? isKey : `${condition} AND ${isKey}`}`,
  };
}

function refused([what, hint]: Refusal): AppError {
  return new AppError("subscription-unsupported", `a live query cannot have ${what}`, { hint });
}

function oneStatement(sql: string): Token[] {
  const tokens = tokenize(sql);
  while (tokens.at(-1)?.text === ";") tokens.pop();
  if (tokens.some(({ text }) => text === ";")) throw refused(["more than one statement", "Send one SELECT at a time."]);
  return tokens;
}

function assertSelect(tokens: readonly Token[]): void {
  const [first] = tokens;
  if (isWord(first, "SELECT")) return;
  if (isWord(first, "WITH")) throw refused(["WITH", "Write it as one SELECT from one table."]);
  const what = first === undefined ? "an empty statement" : `${first.text.toUpperCase()} as its verb`;
  throw refused([what, "Send one SELECT from one table."]);
}

interface Source {
  readonly table: KeyedTable;
  /** What its columns are qualified with. */
  readonly alias: string;
  /** The index of WHERE, or of the end. */
  readonly end: number;
}

/** `machines`, `machines m` or `machines AS m`, up to WHERE or the end. */
function readSource(tokens: readonly Token[], start: number, { tables }: LiveQueryRules): Source {
  const first = tokens[start];
  if (first?.text === "(") throw refused(SUBQUERY);
  const name = nameOf(first) ?? "";
  const next = tokens[start + 1];
  if (next?.text === "(") throw refused(["a table-valued function", "Name a table of the schema."]);
  if (next?.text === ".") throw refused(["a database name before its table", "Name the table alone."]);
  let end = start + 1;
  let alias = name;
  if (isWord(next, "AS") || isBareAlias(next)) {
    end += isWord(next, "AS") ? 2 : 1;
    alias = nameOf(tokens[end - 1]) ?? "";
  }
  const after = tokens[end];
  if (after !== undefined && !isWord(after, "WHERE")) {
    if (after.text === ",") throw refused(JOIN);
    throw refused(CLAUSES.get(after.value) ?? [`${after.text} after its table`, "Continue with WHERE, or end there."]);
  }
  const table = tables.find((known) => known.name.toLowerCase() === name.toLowerCase());
  if (table === undefined) {
    throw new AppError("subscription-unsupported", `${name || "that"} is not a replicated table`, {
      hint: "Live queries watch a table of the schema; a view cannot be watched.",
    });
  }
  return { table, alias, end };
}

function isBareAlias(token: Token | undefined): boolean {
  if (token === undefined || nameOf(token) === undefined) return false;
  return token.kind !== "word" || (token.value !== "WHERE" && !CLAUSES.has(token.value));
}

/** Throws unless the expressions depend on nothing but one row and the parameters. */
function assertPerRow(tokens: readonly Token[], rules: LiveQueryRules): void {
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1];
    if (isWord(token, "SELECT", "VALUES", "EXISTS")) throw refused(SUBQUERY);
    if (isWord(token, "IN") && next?.text !== "(") throw refused(SUBQUERY); // `x IN machines` reads a table.
    if (isWord(token, "OVER") && tokens[i - 1]?.text === ")") throw refused(WINDOW);
    if (isWord(token, "WINDOW") && isWord(tokens[i + 2], "AS")) throw refused(WINDOW);
    if (token.depth === 0 && token.kind === "word" && CLOSED.has(token.value)) {
      throw refused(CLAUSES.get(token.value) ?? ORDER);
    }
    const isNow = isWord(token, "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME");
    if (isNow && tokens[i - 1]?.text !== ".") throw refused(TIME);
    if (next?.text === "(" && (token.kind === "word" || token.kind === "quoted")) assertPure(tokens, i, rules);
  }
}

/** A function SQLite does not know may be a type name, as in CAST(x AS VARCHAR(9)); if not, it will not compile. */
function assertPure(tokens: readonly Token[], at: number, { functions }: LiveQueryRules): void {
  const name = nameOf(tokens[at])?.toLowerCase() ?? "";
  const given = argumentCount(tokens, at + 1);
  const variants = functions.get(name) ?? [];
  const called =
    variants.find(({ argumentCount: count }) => count === given) ??
    variants.find(({ argumentCount: count }) => count < 0);
  if (called === undefined) return;
  if (TIME_FUNCTIONS.has(name)) {
    throw refused([`${name}(), which may depend on the current time`, "Compare with a time passed as a parameter."]);
  }
  if (!called.isScalar) {
    throw refused([`${name}(), which needs more than one row`, "Subscribe to the rows and compute it in the client."]);
  }
  if (!called.isDeterministic) {
    throw refused([`${name}(), which gives another value each time`, "Pass the value as a parameter."]);
  }
}

/** How many arguments stand in the parentheses that open at `open`. */
function argumentCount(tokens: readonly Token[], open: number): number {
  const depth = tokens[open]?.depth ?? 0;
  if (tokens[open + 1]?.text === ")") return 0;
  let count = 1;
  for (let i = open + 1; i < tokens.length; i++) {
    const token = tokens[i];
    if (token?.depth === depth && token.text === ")") break;
    if (token?.depth === depth + 1 && token.text === ",") count++;
  }
  return count;
}
