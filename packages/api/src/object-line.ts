/** One line of an object stream: text to values, or what is wrong with it and where. */
import { AppError, messageOf, type SqlValue } from "@patina/base";
import { parse, type ParseError } from "jsonc-parser";
import { toSqlValue } from "./statement.js";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Undefined for a blank line. Throws `bad-request` with the `column`, counted from 1, at which the text goes wrong. */
export function readObjectLine(bytes: Uint8Array): Record<string, SqlValue> | undefined {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new AppError("bad-request", "it is not valid UTF-8", { cause, hint: "Send the text as UTF-8." });
  }
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(text, cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return toValues(value);
  throw new AppError("bad-request", "it is not a JSON object", {
    hint: "Send one object of column names and values a line, without a list around them.",
    details: { column: text.search(/\S/) + 1 },
  });
}

/** An object's values as SQLite takes them. */
export function toValues(object: object): Record<string, SqlValue> {
  return Object.fromEntries(Object.entries(object).map(([column, value]) => [column, toSqlValue(value)]));
}

/** JSON.parse says where only for some mistakes, so the text is looked at again by a parser that always does. */
function malformed(text: string, cause: unknown): AppError {
  const errors: ParseError[] = [];
  parse(text, errors, { disallowComments: true });
  return new AppError("bad-request", `it is not JSON: ${messageOf(cause)}`, {
    cause,
    hint: "Send one whole JSON object a line.",
    details: { column: (errors[0]?.offset ?? text.length) + 1 },
  });
}
