/** SQLite's errors, sorted: the caller's mistake, or a file that can no longer be trusted to take writes. */
import { AppError, messageOf } from "@patina/base";
import Database from "better-sqlite3";
import { RESERVED_PREFIX } from "../sql/reserved.js";

const FATAL = /^SQLITE_(FULL|IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|NOMEM)/;
const NO_MEMORY = /^SQLITE_(NOMEM|IOERR_NOMEM)/;

/**
 * Disk full, I/O error, corruption, read-only file, no memory: the transaction is over, whatever it was about. But for the last, no
 * write can be promised any more.
 */
export function isFatal(thrown: unknown): boolean {
  return thrown instanceof Database.SqliteError && FATAL.test(thrown.code);
}

/** There was no memory for it: nothing is wrong with the file, and all of the transaction is undone. */
function noMemoryError(thrown: unknown): AppError | undefined {
  if (!(thrown instanceof Database.SqliteError) || !NO_MEMORY.test(thrown.code)) return undefined;
  return new AppError("store-busy", "the database has no memory left for this", {
    cause: thrown,
    hint: "Try again, with less at once; if it stays so, give the machine more memory.",
  });
}

/** A transaction that could not be committed: `store-busy` when trying again may help, `store-failed` when not. */
export function transactionError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(thrown.code)) {
    return new AppError("store-busy", "another process holds the database", {
      cause: thrown,
      hint: "Try again; nothing but the agent should write to its file.",
    });
  }
  const error = sqlError(thrown);
  if (error.code === "store-busy") return error;
  return error.code === "store-failed" ? error : new AppError("store-failed", error.message, { cause: thrown });
}

/** What the caller is told. */
export function sqlError(thrown: unknown): AppError {
  const code = thrown instanceof Database.SqliteError ? thrown.code : undefined;
  const noMemory = noMemoryError(thrown);
  if (noMemory !== undefined) return noMemory;
  if (isFatal(thrown)) {
    return new AppError("store-failed", `the database cannot take writes: ${messageOf(thrown)}`, {
      cause: thrown,
      hint: "Check the disk under the data directory, then restart the agent.",
    });
  }
  const hint =
    code?.startsWith("SQLITE_CONSTRAINT") === true ? "The row breaks a constraint of the schema." : undefined;
  // Rows lie in a table of another name, which is nobody's business.
  const message = messageOf(thrown).replaceAll(`${RESERVED_PREFIX}rows_`, "");
  const field = /(?:NOT NULL constraint failed:|value in \w+ column) \w+\.(\w+)$/.exec(message)?.[1];
  return new AppError("sql-error", message, {
    cause: thrown,
    ...(hint === undefined ? {} : { hint }),
    ...(field === undefined ? {} : { details: { field } }),
  });
}
