/** A CSV field becomes what its column takes, or is refused with the column's name. */
import { must } from "@patina/base";
import { parseSchema } from "@patina/store";
import { expect, test } from "vitest";
import { csvValue } from "./csv-value.js";

const { tables } = parseSchema(`CREATE TABLE t (
  id TEXT NOT NULL PRIMARY KEY, name TEXT, label TEXT NOT NULL DEFAULT 'x', n INTEGER, m INTEGER NOT NULL DEFAULT 7,
  r REAL, d DECIMAL(9, 2), b BLOB);`);
const column = (name: string) =>
  must(
    must(tables[0], "a table").columns.find((it) => it.name === name),
    name,
  );

test.each([
  ["text as it is, spaces and digits too", "name", " 007 ", false, " 007 "],
  ["no text as NULL where it may be", "name", "", false, null],
  ["empty quotes as empty text", "name", "", true, ""],
  ["no text as empty text where NULL may not be", "label", "", false, ""],
  ["a whole number", "n", " -12 ", false, -12],
  ["a whole number beyond what JSON carries, exactly", "n", "9223372036854775807", false, "9223372036854775807"],
  ["a truth value as a number", "n", "TRUE", false, 1],
  ["no number as NULL where it may be", "n", "", false, null],
  ["no number as the default where it may not", "m", "", false, undefined],
  ["a real number", "r", "-1.5e3", false, -1500],
  ["a decimal", "d", "12.50", false, 12.5],
  ["what is no decimal as text", "d", "n/a", false, "n/a"],
  ["bytes in hexadecimal", "b", "00ff", false, [0, 255]],
])("takes %s", (_what, name, text, isQuoted, value) => {
  expect(csvValue(column(name), text, isQuoted)).toEqual(value);
});

test.each([
  ["n", "1.5"],
  ["n", "twelve"],
  ["n", "0x10"],
  ["r", "1,5"],
  ["r", "NaN"],
  ["b", "f"],
])("refuses for %s what it cannot take: %s", (name, text) => {
  expect(() => csvValue(column(name), text, false)).toThrow(
    expect.objectContaining({ code: "bad-request", details: { field: name } }) as Error,
  );
});
