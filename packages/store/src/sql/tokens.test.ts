/** The tokenizer sees where SQLite sees words, names and strings, so that nothing can hide from it in quotes or comments. */
import { AppError } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isWord, nameOf, quoteName, statementsOf, tokenize } from "./tokens.js";

const shown = (sql: string): string[] => tokenize(sql).map(({ kind, text }) => `${kind} ${text}`);

describe("tokens", () => {
  test.each<[string, string[]]>([
    ["SELECT a", ["word SELECT", "word a"]],
    ["a--b\nc", ["word a", "word c"]],
    ["a--b", ["word a"]],
    ["a/*b*/c/*", ["word a", "word c"]],
    ["/*/a*/b", ["word b"]],
    ["'--' \"/*\" `''` [a'b]", ["string '--'", 'quoted "/*"', "quoted `''`", "quoted [a'b]"]],
    ["'it''s' \"a\"\"b\" x'0f' X''", ["string 'it''s'", 'quoted "a""b"', "blob x'0f'", "blob X''"]],
    ["1 .5 1.5e3 0x1F a.b", ["number 1", "number .5", "number 1.5e3", "number 0x1F", "word a", "punctuation .", "word b"]], // prettier-ignore
    ["?1 ? :n @a $b", ["parameter ?1", "parameter ?", "parameter :n", "parameter @a", "parameter $b"]],
    ["?RETURNING", ["parameter ?", "word RETURNING"]],
    ["\ufeffa b\ufeff", ["word a", "word b\ufeff"]],
    ["é\u{1f600}$x", ["word é\u{1f600}$x"]],
    ["", []],
    [" \t\n\r\f -- nothing", []],
  ])("%j", (sql, expected) => {
    expect(shown(sql)).toEqual(expected);
  });

  test("a word's value is in upper case, a name's and a string's is without quotes", () => {
    expect(tokenize("tAbLe \"a\"\"b\" [x] `y``z` 'it''s' :p").map(({ value }) => value)).toEqual([
      "TABLE",
      'a"b',
      "x",
      "y`z",
      "it's",
      ":p",
    ]);
    expect(tokenize("a \"b\" 'c' 1 ;").map(nameOf)).toEqual(["a", "b", "c", undefined, undefined]);
    expect(nameOf(undefined)).toBeUndefined();
    const [quoted] = tokenize('"select"');
    expect(isWord(quoted, "SELECT")).toBe(false);
  });

  test("depth counts the parentheses around a token", () => {
    expect(tokenize("a (b (c)) d").map(({ text, depth }) => `${text}${depth}`)).toEqual(["a0", "(0", "b1", "(1", "c2", ")1", ")0", "d0"]); // prettier-ignore
  });

  test("statements are split at semicolons outside quotes, and empty ones are dropped", () => {
    const texts = statementsOf(tokenize(";a ';' b;; c ;")).map((tokens) => tokens.map(({ text }) => text).join(" "));
    expect(texts).toEqual(["a ';' b", "c"]);
  });

  test("a NUL is refused: SQLite would run what comes before it", () => {
    expect(() => tokenize("DELETE FROM t \0WHERE id = 'k1'")).toThrow(expect.objectContaining({ code: "sql-error" }));
  });

  test.each(["'a", '"a', "`a", "[a", "x'0", "'a''"])("%s is an unclosed quote", (sql) => {
    expect(() => tokenize(sql)).toThrow(AppError);
  });

  test("tokens are in order, cover all but blanks and comments, and any text ends in tokens or an error", () => {
    const piece = fc.constantFrom("a", " ", "'", '"', "[", "]", "`", "--", "/*", "*/", "\n", "(", ")", ";", "x'", "?", ".", "1", "\ufeff", "é"); // prettier-ignore
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }).map((it) => it.join("")),
        (sql) => {
          // prettier-ignore
          let tokens;
          try {
            tokens = tokenize(sql);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(AppError);
            return;
          }
          let at = 0;
          for (const { start, end, text } of tokens) {
            expect(start).toBeGreaterThanOrEqual(at);
            expect(end).toBeGreaterThan(start);
            expect(sql.slice(start, end)).toBe(text);
            expect(sql.slice(at, start)).toMatch(/^(\s|\ufeff|--[^\n]*\n|\/\*[\s\S]*?\*\/)*$/);
            at = end;
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("a quoted name comes back whatever is in it", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const [token, ...rest] = tokenize(quoteName(name));
        expect([nameOf(token), rest.length]).toEqual([name, 0]);
      }),
    );
  });
});
