/**
 * Text that is not Unicode: a lone surrogate of JSON, or bytes that SQL called text. SQLite keeps such bytes as they are, and
 * JavaScript reads them back as U+FFFD, so the row that is here and the one that is sent would not be the same. It is refused
 * before it is in any row.
 */
import { AppError, must, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import type { Table } from "../database/layout.js";
import { quoteName } from "../sql/tokens.js";

const REPLACEMENT = "\ufffd";

/** A key's text may not even hold U+FFFD itself: a key is read back before anything else is known of its row. */
export function assertKeyText(key: readonly SqlValue[]): void {
  for (const value of key) {
    if (typeof value !== "string" || (value.isWellFormed() && !value.includes(REPLACEMENT))) continue;
    throw notUnicode("a key's text");
  }
}

/** Refuses what somebody sent. `what` names it in a sentence. */
export function assertUnicode(value: SqlValue, what: string): void {
  if (typeof value === "string" && !value.isWellFormed()) throw notUnicode(what);
}

/** Refuses what SQL left in a row, as it was read back: U+FFFD may stand for itself, or for bytes that are no text. */
export function assertStoredText(
  db: Database.Database,
  table: Table,
  key: readonly SqlValue[],
  values: readonly SqlValue[],
): void {
  table.values.forEach(({ name, column }, i) => {
    const value = values[i];
    if (typeof value !== "string" || !value.includes(REPLACEMENT)) return; // All but always: no look at the bytes.
    const where = table.key.map((part) => `${quoteName(part)} = ?`).join(" AND ");
    const sql = `SELECT CAST(${quoteName(column)} AS BLOB) FROM ${quoteName(table.rowsTable)} WHERE ${where}`;
    const bytes = must(db.prepare(sql).pluck().get(...key), "a row just read") as Buffer; // prettier-ignore
    if (!bytes.equals(Buffer.from(value))) throw notUnicode(`${table.name}.${name}`, name);
  });
}

/** `what` is not, and `field` is the column it is for. */
export function notUnicode(what: string, field?: string): AppError {
  return new AppError("bad-request", `${what} is not valid Unicode`, {
    hint: "Send text as UTF-8, without lone surrogates, and other bytes as a BLOB.",
    ...(field === undefined ? {} : { details: { field } }),
  });
}
