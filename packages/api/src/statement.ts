/**
 * Statements as Corrosion's clients send them:
 * `"SQL"` · `["SQL", [positional…]]` · `["SQL", {named}]` · `{"query": "SQL", "params": […], "named_params": {…}}`
 */
import { AppError, type SqlValue, type Statement } from "@patina/base";
import { z } from "zod";

const params = z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]);
export const statement = z.union([
  z.string(),
  z.tuple([z.string()]),
  z.tuple([z.string(), params]),
  z.object({
    query: z.string(),
    params: z.array(z.unknown()).nullish(),
    named_params: z.record(z.string(), z.unknown()).nullish(),
  }),
]);
export const transaction = z.array(statement).min(1, "a transaction has at least one statement");

/** Throws `bad-request` when the body is not one statement. */
export function parseStatement(body: unknown, parametersMax: number): Statement {
  return toStatement(parse(statement, body), parametersMax);
}

/** Throws `bad-request` when the body is not a list of one or more statements. */
export function parseTransaction(body: unknown, parametersMax: number): Statement[] {
  return parse(transaction, body).map((item) => toStatement(item, parametersMax));
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `the body is not what this route takes: ${z.prettifyError(parsed.error)}`, {
    hint: 'A statement is "SQL", ["SQL", [params]], ["SQL", {named}] or {"query", "params"}; a transaction is a list of them.',
  });
}

function toStatement(item: z.infer<typeof statement>, parametersMax: number): Statement {
  if (typeof item === "string") return { sql: item, params: [] };
  const [sql, given] = Array.isArray(item)
    ? [item[0], item[1] ?? []]
    : [item.query, item.params ?? item.named_params ?? []];
  const count = Array.isArray(given) ? given.length : Object.keys(given).length;
  if (count > parametersMax) {
    const message = `the statement has ${count} parameters; at most ${parametersMax} are allowed`;
    throw new AppError("bad-request", message, { hint: "Send several statements." });
  }
  if (Array.isArray(given)) return { sql, params: given.map(toSqlValue) };
  const named = Object.entries(given).map(([name, value]) => [name.replace(/^[:@$]/, ""), toSqlValue(value)]);
  return { sql, params: Object.fromEntries(named) as Record<string, SqlValue> };
}

/** JSON as SQLite values: whole numbers are integers, true is 1, and what SQLite has no type for is kept as JSON text. */
export function toSqlValue(value: unknown): SqlValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value) && value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) {
    return Uint8Array.from(value as number[]);
  }
  return JSON.stringify(value);
}
