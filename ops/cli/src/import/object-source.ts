/**
 * Objects from a file, one JSON text each with the line it ends at, read as fast as they are taken. NDJSON lines go
 * through as they are: the agent reads them and says what is wrong. CSV records become such lines here, typed by the
 * table's columns; the first record names the columns.
 */
import type { Readable } from "node:stream";
import { linesOf } from "@patina/api";
import { AppError, asAppError, messageOf } from "@patina/base";
import type { Column, TableSchema } from "@patina/store";
import { CsvError, type Info, parse } from "csv-parse";
import { csvValue } from "./csv-value.js";

export type ImportFormat = "ndjson" | "csv";

export interface SourceLine {
  /** In the file, from 1. A CSV record may take several: it is the last of them. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** One line, or one CSV record, may have so many bytes. */
const RECORD_BYTES_MAX = 1 << 20;

export function objectsIn(
  input: Readable,
  format: ImportFormat,
  table: TableSchema,
): AsyncIterable<readonly SourceLine[]> {
  return format === "ndjson" ? linesOf(input, RECORD_BYTES_MAX) : csvObjects(input, table);
}

interface Field {
  readonly text: string;
  readonly isQuoted: boolean;
}

/** Throws `bad-request` with the line for a record that cannot be read, or a field its column cannot take. */
async function* csvObjects(input: Readable, table: TableSchema): AsyncGenerator<readonly SourceLine[], void, void> {
  const parser = input.pipe(
    parse({
      bom: true,
      info: true,
      max_record_size: RECORD_BYTES_MAX,
      skip_empty_lines: true,
      cast: (text, { quoting }) => ({ text, isQuoted: quoting }),
    }),
  );
  input.once("error", (error) => parser.destroy(error));
  input.once("close", () => input.readableEnded || parser.destroy());
  let columns: readonly Column[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Field[]; info: Info }>) {
      if (columns === undefined) columns = columnsOf(record, table);
      else yield [{ number: info.lines, bytes: Buffer.from(objectText(columns, record, info.lines)) }];
    }
  } catch (thrown) {
    throw thrown instanceof CsvError ? unreadable(thrown) : thrown;
  }
}

function columnsOf(header: readonly Field[], { name: table, columns }: TableSchema): Column[] {
  const seen = new Set<string>();
  return header.map(({ text }) => {
    const name = text.trim();
    const column = columns.find((it) => it.name === name && !it.isGenerated);
    if (column !== undefined && !seen.has(name)) {
      seen.add(name);
      return column;
    }
    const names = columns.filter(({ isGenerated }) => !isGenerated).map((it) => it.name);
    const what = column === undefined ? `table ${table} has no column named ${name}` : `${name} is named twice`;
    throw new AppError("bad-request", `line 1: ${what}`, {
      hint: `The first line names the columns. Those of ${table} are ${names.join(", ")}.`,
      details: { line: 1, field: name },
    });
  });
}

function objectText(columns: readonly Column[], record: readonly Field[], line: number): string {
  const values: [string, unknown][] = [];
  columns.forEach((column, i) => {
    const field = record[i];
    if (field === undefined) return;
    try {
      const value = csvValue(column, field.text, field.isQuoted);
      if (value !== undefined) values.push([column.name, value]);
    } catch (thrown) {
      const { code, message, hint, details } = asAppError(thrown);
      throw new AppError(code, `line ${line}: ${message}`, { ...(hint && { hint }), details: { ...details, line } });
    }
  });
  return JSON.stringify(Object.fromEntries(values));
}

function unreadable(cause: CsvError): AppError {
  const line = Number(cause["lines"] ?? 0);
  return new AppError("bad-request", `line ${line}: the record cannot be read: ${messageOf(cause)}`, {
    cause,
    hint: "A record has as many fields as the first line; a field with a comma, a quote or a line end is quoted.",
    details: { line },
  });
}
