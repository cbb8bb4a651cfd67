/**
 * A live query's parameters, numbered as SQLite numbers them and then all written by that number (`@p1`, `@p2`, …).
 * One form serves `?`, `?3` and `:name` alike, and the key's own parameters (`@k0`, …) can never meet a user's.
 */
import { AppError, type SqlValue } from "@patina/base";
import type { Token } from "@patina/store";

/** Positional, or by name without the prefix. */
export type LiveParams = readonly SqlValue[] | Readonly<Record<string, SqlValue>>;

export interface Parameters {
  /** Number → the name it was written with, or its number when it was written `?3`; undefined for a plain `?`. */
  readonly names: ReadonlyMap<number, string | undefined>;
  /** The highest number: how many values a positional list must have. */
  readonly count: number;
  readonly numberOf: ReadonlyMap<Token, number>;
}

export function numberParameters(tokens: readonly Token[]): Parameters {
  const names = new Map<number, string | undefined>();
  const numberOf = new Map<Token, number>();
  const numberByText = new Map<string, number>();
  let count = 0;
  for (const token of tokens) {
    if (token.kind !== "parameter") continue;
    const { text } = token;
    const isNumbered = /^\?[0-9]+$/.test(text);
    if (text !== "?" && !isNumbered && !/^[:@$]./.test(text)) {
      throw new AppError("sql-error", `${text} is not a parameter`, { hint: "Write ?, ?3 or :name." });
    }
    const number = isNumbered
      ? Number(text.slice(1))
      : ((text === "?" ? undefined : numberByText.get(text)) ?? count + 1);
    if (text !== "?") numberByText.set(text, number);
    names.set(number, text === "?" ? undefined : text.slice(1));
    numberOf.set(token, number);
    count = Math.max(count, number);
  }
  return { names, count, numberOf };
}

/** The text from the first token to the last, with every parameter written by its number. */
export function textOf(sql: string, tokens: readonly Token[], { numberOf }: Parameters): string {
  let text = "";
  let at = tokens[0]?.start ?? 0;
  for (const token of tokens) {
    const number = numberOf.get(token);
    if (number === undefined) continue;
    text += `${sql.slice(at, token.start)}@p${number}`;
    at = token.end;
  }
  return text + sql.slice(at, tokens.at(-1)?.end ?? at);
}

/** What to bind. Throws `sql-error` when a value is missing or one too many was given. */
export function bindParameters({ names, count }: Parameters, params: LiveParams): Record<string, SqlValue> {
  const bound: Record<string, SqlValue> = {};
  if (isPositional(params)) {
    if (params.length !== count) {
      const message = `the query has ${count} parameters and ${params.length} values were given`;
      throw new AppError("sql-error", message, { hint: "Give one value for each ?, in order." });
    }
    for (const number of names.keys()) bound[`p${number}`] = params[number - 1] ?? null;
    return bound;
  }
  for (const [number, name] of names) {
    if (name === undefined || !Object.hasOwn(params, name)) {
      const message =
        name === undefined ? "a ? has no value: the values were given by name" : `no value for parameter ${name}`;
      throw new AppError("sql-error", message, {
        hint: "Give every parameter a value, all by name or all by position.",
      });
    }
    bound[`p${number}`] = params[name] ?? null;
  }
  return bound;
}

export function isPositional(params: LiveParams): params is readonly SqlValue[] {
  return Array.isArray(params);
}
