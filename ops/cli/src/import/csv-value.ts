/**
 * A CSV field as the value its column takes. The column's type decides, since CSV has none:
 *
 *   text              as it is
 *   integer           a whole number, exact at any size; true and false are 1 and 0
 *   real              a number
 *   numeric           a number if it reads as one, else text
 *   blob              hexadecimal digits
 *   empty             NULL if the column may be null; else empty text in a text column, and the default in any other
 *   "" (quoted)       empty text in a text column, as empty elsewhere
 */
import { AppError } from "@patina/base";
import type { Column } from "@patina/store";

const WHOLE = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** As JSON carries it; undefined leaves the column out. Throws `bad-request` for a field the column cannot take. */
export function csvValue(column: Column, text: string, isQuoted: boolean): unknown {
  const { affinity } = column;
  if (affinity === "text") return text === "" && !isQuoted && column.isNullable ? null : text;
  if (text.trim() === "") return column.isNullable ? null : undefined;
  const field = text.trim();
  switch (affinity) {
    case "integer":
      if (WHOLE.test(field)) return wholeNumber(field);
      if (/^(true|false)$/i.test(field)) return field.toLowerCase() === "true" ? 1 : 0;
      throw refuse(column, text, "a whole number");
    case "real":
      if (NUMBER.test(field)) return Number(field);
      throw refuse(column, text, "a number");
    case "numeric":
      if (WHOLE.test(field)) return wholeNumber(field);
      return NUMBER.test(field) ? Number(field) : text;
    case "blob":
      if (/^([0-9a-f]{2})*$/i.test(field)) return [...Buffer.from(field, "hex")];
      throw refuse(column, text, "hexadecimal digits, two a byte");
  }
}

/** JSON numbers are exact up to 2^53; beyond it the digits go as text, which the column turns into an integer. */
function wholeNumber(field: string): number | string {
  const number = Number(field);
  return Number.isSafeInteger(number) ? number : field.replace(/^\+/, "");
}

function refuse({ name }: Column, text: string, expected: string): AppError {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return new AppError("bad-request", `${name} is ${JSON.stringify(shown)}, not ${expected}`, {
    hint: `Correct the field, or leave it empty.`,
    details: { field: name },
  });
}
