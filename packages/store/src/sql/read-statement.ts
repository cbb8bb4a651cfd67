/**
 * The door for users' queries: exactly one SELECT (or VALUES), by itself or after WITH.
 *
 * SQLite calls BEGIN, ATTACH, PRAGMA and others "read-only" as well, and letting them through is how a reader ends up
 * pinned to an old snapshot for good. So the verb is checked here, and the compiled statement must be read-only too.
 */
import { AppError } from "@patina/base";
import { isWord, type Token, tokenize } from "./tokens.js";

/** Throws `sql-not-allowed` unless `sql` is one SELECT. Says nothing of whether it compiles. */
export function assertReadStatement(sql: string): void {
  const tokens = tokenize(sql);
  while (tokens.at(-1)?.text === ";") tokens.pop();
  if (tokens.some((token) => token.text === ";")) {
    throw new AppError("sql-not-allowed", "more than one statement", { hint: "Send one SELECT at a time." });
  }
  const verb = isWord(tokens[0], "WITH") ? mainVerb(tokens) : tokens[0];
  if (isWord(verb, "SELECT", "VALUES")) return;
  throw new AppError("sql-not-allowed", `a query may not run ${verb?.text.toUpperCase() ?? "an empty statement"}`, {
    hint: "Only one read-only SELECT is accepted here; writes go to /v1/transactions.",
  });
}

function mainVerb(tokens: readonly Token[]): Token | undefined {
  const verbs = ["SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"];
  return tokens.find((token, i) => i > 0 && token.depth === 0 && isWord(token, ...verbs));
}
