/**
 * SQL as tokens, after SQLite's own tokenizer (tokenize.c): enough to find a statement's verb, its target table and
 * its clauses without guessing inside strings or comments. What it lets through, SQLite still has to compile.
 */
import { AppError } from "@patina/base";

export type TokenKind = "word" | "quoted" | "string" | "number" | "blob" | "parameter" | "punctuation";

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  /** A word in upper case, a quoted name or string without its quotes, anything else as written. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
  /** Parentheses open around it. A parenthesis itself has the depth outside. */
  readonly depth: number;
}

const SPACE = /[ \t\n\f\r\ufeff]/; // SQLite, too, skips a byte order mark wherever a token could begin.
const WORD_START = /[A-Za-z_\u0080-\uffff]/;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]/;

const CLOSING: Readonly<Record<string, string>> = { '"': '"', "`": "`", "[": "]", "'": "'" };

/** All tokens; white space and comments are dropped. Throws `sql-error` for an unclosed quote and for a NUL. */
export function tokenize(sql: string): Token[] {
  // SQLite would stop reading there, and run what comes before it.
  if (sql.includes("\0")) throw new AppError("sql-error", "the SQL has a NUL character", { hint: "Send it without." });
  const tokens: Token[] = [];
  let at = 0;
  let depth = 0;
  while (at < sql.length) {
    const skipped = skipBlank(sql, at);
    if (skipped > at) {
      at = skipped;
      continue;
    }
    const { kind, end } = scan(sql, at);
    const text = sql.slice(at, end);
    if (text === ")") depth--;
    tokens.push({ kind, text, value: valueOf(kind, text), start: at, end, depth });
    if (text === "(") depth++;
    at = end;
  }
  return tokens;
}

/** Statements as slices of tokens, without their semicolons; empty ones are dropped. */
export function statementsOf(tokens: readonly Token[]): (readonly Token[])[] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.text === ";") statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

/** Is it that keyword, unquoted? */
export function isWord(token: Token | undefined, ...words: readonly string[]): boolean {
  return token?.kind === "word" && words.includes(token.value);
}

/** The name a token stands for where SQL wants one: bare, quoted, or (an old SQLite leniency) a string. */
export function nameOf(token: Token | undefined): string | undefined {
  if (token === undefined) return undefined;
  if (token.kind === "word") return token.text;
  return token.kind === "quoted" || token.kind === "string" ? token.value : undefined;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function skipBlank(sql: string, start: number): number {
  let at = start;
  while (at < sql.length && SPACE.test(sql.charAt(at))) at++;
  if (sql.startsWith("--", at)) {
    const end = sql.indexOf("\n", at);
    return end === -1 ? sql.length : end + 1;
  }
  if (sql.startsWith("/*", at)) {
    const end = sql.indexOf("*/", at + 2);
    return end === -1 ? sql.length : end + 2; // SQLite, too, takes an unclosed comment to the end.
  }
  return at;
}

function scan(sql: string, start: number): { kind: TokenKind; end: number } {
  const first = sql.charAt(start);
  if (/[xX]/.test(first) && sql.charAt(start + 1) === "'") return { kind: "blob", end: quotedEnd(sql, start + 1) };
  if (first === "'") return { kind: "string", end: quotedEnd(sql, start) };
  if (CLOSING[first] !== undefined) return { kind: "quoted", end: quotedEnd(sql, start) };
  if (WORD_START.test(first)) return { kind: "word", end: runEnd(sql, start, WORD) };
  if (/[0-9]/.test(first) || (first === "." && /[0-9]/.test(sql.charAt(start + 1)))) {
    return { kind: "number", end: runEnd(sql, start, /[A-Za-z0-9_.]/) };
  }
  if (first === "?") return { kind: "parameter", end: runEnd(sql, start + 1, /[0-9]/) };
  if (/[:@$#]/.test(first)) return { kind: "parameter", end: runEnd(sql, start + 1, WORD) };
  return { kind: "punctuation", end: start + 1 };
}

function runEnd(sql: string, start: number, allowed: RegExp): number {
  let at = start;
  while (at < sql.length && allowed.test(sql.charAt(at))) at++;
  return at;
}

function quotedEnd(sql: string, start: number): number {
  const close = CLOSING[sql.charAt(start)] ?? "'";
  for (let at = start + 1; at < sql.length; at++) {
    if (sql.charAt(at) !== close) continue;
    if (close !== "]" && sql.charAt(at + 1) === close) at++;
    else return at + 1;
  }
  throw new AppError("sql-error", `unclosed ${sql.charAt(start)} in the SQL text`, { hint: "Close the quote." });
}

function valueOf(kind: TokenKind, text: string): string {
  if (kind === "word") return text.toUpperCase();
  if (kind !== "quoted" && kind !== "string") return text;
  const quote = text.charAt(0);
  const inner = text.slice(1, -1);
  return quote === "[" ? inner : inner.replaceAll(quote + quote, quote);
}
