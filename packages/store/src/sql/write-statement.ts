/**
 * A user's INSERT, UPDATE or DELETE, turned towards the table that really holds the rows.
 *
 * Users see the view `machines` with exactly the columns of their schema; the rows live in `_patina_rows_machines`,
 * which has the clock columns too. A view cannot be the target of an upsert, so the statement's target is replaced:
 *
 *   INSERT INTO machines VALUES (…) ON CONFLICT …
 *   INSERT INTO "_patina_rows_machines" AS "machines" ("id", "app", …) VALUES (…) ON CONFLICT …
 *
 * The alias keeps every qualified name working, and the column list keeps INSERT without one working.
 */
import { AppError } from "@patina/base";
import { refuseReserved } from "./reserved.js";
import { isWord, nameOf, quoteName, type Token, tokenize } from "./tokens.js";

/** What the rewrite must know of a table: where its rows are, and the columns INSERT without a list means. */
export interface WriteTarget {
  readonly name: string;
  readonly rowsTable: string;
  readonly insertColumns: readonly string[];
}

export type FindTarget = (name: string) => WriteTarget | undefined;

/** The SQL to run. Throws `sql-not-allowed` for anything but one write to a user table, `sql-error` for no such table. */
export function rewriteWrite(sql: string, find: FindTarget): string {
  const tokens = tokenize(sql);
  while (tokens.at(-1)?.text === ";") tokens.pop();
  refuseReserved(tokens);
  const verbAt = verbIndex(tokens);
  const verb = tokens[verbAt];
  const targetAt = targetIndex(tokens, verbAt);
  const { nameAt, target } = resolveTarget(tokens, targetAt, find);
  refuseClauses(tokens, verbAt);
  return splice(sql, tokens, { verb, targetAt, nameAt, target });
}

/** Where the main verb is: first, or after the WITH clause's parentheses. */
function verbIndex(tokens: readonly Token[]): number {
  const start = isWord(tokens[0], "WITH") ? 1 : 0;
  const at = tokens.findIndex(
    (token, i) =>
      i >= start &&
      token.depth === 0 &&
      (start === 0 || isWord(token, "INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT")),
  );
  const verb = tokens[at];
  if (isWord(verb, "INSERT", "REPLACE", "UPDATE", "DELETE")) return at;
  throw new AppError(
    "sql-not-allowed",
    `a transaction may not run ${verb?.text.toUpperCase() ?? "an empty statement"}`,
    {
      hint: "Send INSERT, UPDATE, DELETE or REPLACE here; read through /v1/queries; change tables through the schema.",
    },
  );
}

/** Where the target table's name begins: after INSERT OR x INTO, UPDATE OR x, DELETE FROM. */
function targetIndex(tokens: readonly Token[], verbAt: number): number {
  let at = verbAt + 1;
  if (isWord(tokens[at], "OR")) {
    if (isWord(tokens[at + 1], "ROLLBACK")) {
      throw new AppError("sql-not-allowed", "OR ROLLBACK would undo other callers' writes in the same commit", {
        hint: "Use OR ABORT (the default): your transaction is undone as a whole either way.",
      });
    }
    at += 2;
  }
  return isWord(tokens[at], "INTO", "FROM") ? at + 1 : at;
}

function resolveTarget(
  tokens: readonly Token[],
  at: number,
  find: FindTarget,
): { nameAt: number; target: WriteTarget } {
  const isQualified = tokens[at + 1]?.text === ".";
  const nameAt = isQualified ? at + 2 : at;
  const name = nameOf(tokens[nameAt]);
  if (isQualified && nameOf(tokens[at])?.toLowerCase() !== "main") {
    throw new AppError("sql-not-allowed", `there is no database ${tokens[at]?.text} here`, { hint: "Leave it out." });
  }
  const target = name === undefined ? undefined : find(name);
  if (target === undefined) {
    throw new AppError("sql-error", `no such table: ${name ?? tokens[nameAt]?.text ?? "(none)"}`, {
      hint: "Views cannot be written. See /v1/schema for the tables there are.",
    });
  }
  return { nameAt, target };
}

function refuseClauses(tokens: readonly Token[], verbAt: number): void {
  const returning = tokens.slice(verbAt).find((token) => token.depth === 0 && isWord(token, "RETURNING"));
  if (returning === undefined) return;
  throw new AppError("sql-not-allowed", "RETURNING is not available in a transaction", {
    hint: "Read the rows back through /v1/queries.",
  });
}

interface Splice {
  readonly verb: Token | undefined;
  readonly targetAt: number;
  readonly nameAt: number;
  readonly target: WriteTarget;
}

function splice(sql: string, tokens: readonly Token[], { verb, targetAt, nameAt, target }: Splice): string {
  const start = tokens[targetAt]?.start ?? 0;
  const end = tokens[nameAt]?.end ?? sql.length;
  const hasAlias = isWord(tokens[nameAt + 1], "AS");
  const alias = hasAlias ? "" : ` AS ${quoteName(target.name)}`;
  const afterAt = nameAt + (hasAlias ? 3 : 1);
  const after = tokens[afterAt];
  const inserts = isWord(verb, "INSERT", "REPLACE");
  const needsColumns = inserts && after?.text !== "(" && !isWord(after, "DEFAULT");
  const columns = needsColumns ? ` (${target.insertColumns.map(quoteName).join(", ")}) ` : "";
  const columnsAt = hasAlias ? (tokens[nameAt + 2]?.end ?? end) : end;
  return `${sql.slice(0, start)}${quoteName(target.rowsTable)}${alias}${sql.slice(end, columnsAt)}${columns}${sql.slice(columnsAt)}`;
}
