/** One of the store's connections, with the settings that its promises rest on. */
import { AppError, messageOf } from "@patina/base";
import Database from "better-sqlite3";
import type { StoreLimits } from "./limits.js";

/** SQLite's own pages in memory, for each connection: enough to keep a region's inner nodes and hot rows. */
const CACHE_KIB = 32 << 10;

/** Throws `store-failed` when the file is none of SQLite's, or cannot be had. */
function openDatabase(path: string, { pagesMax }: StoreLimits, walAutocheckpointPages: number): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path);
    db.pragma("journal_mode = WAL");
    db.pragma(`wal_autocheckpoint = ${walAutocheckpointPages}`);
    db.pragma(`max_page_count = ${pagesMax}`);
    db.pragma("temp_store = MEMORY");
    db.pragma(`cache_size = -${CACHE_KIB}`);
    // Only the cutting of a long log, or a foreign process, ever makes it wait: to be late is better than to refuse a write.
    db.pragma("busy_timeout = 1000");
    return db;
  } catch (cause) {
    db?.close();
    throw cannotOpen(path, cause);
  }
}

export function cannotOpen(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  return new AppError("store-failed", `cannot open the database ${path}: ${messageOf(cause)}`, {
    cause,
    hint: "Check that the directory exists, is writable and is not full; restore a file that is damaged.",
  });
}

/** Two connections to one file, or none. */
export function openBoth(
  path: string,
  limits: StoreLimits,
  walAutocheckpointPages: number,
): [sql: Database.Database, plain: Database.Database] {
  const sql = openDatabase(path, limits, walAutocheckpointPages);
  try {
    return [sql, openDatabase(path, limits, walAutocheckpointPages)];
  } catch (thrown) {
    sql.close();
    throw thrown;
  }
}
