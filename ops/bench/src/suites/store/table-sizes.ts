/** How large the parts of a database are, in pages of the file that belong to each. */
import Database from "better-sqlite3";

/** Bytes by table or index, the largest first. The write-ahead log is emptied beforehand. */
export function tableSizes(path: string): Map<string, number> {
  const db = new Database(path, { fileMustExist: true });
  try {
    db.pragma("wal_checkpoint(TRUNCATE)");
    const rows = db.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC, 1").raw().all();
    return new Map(rows as [string, number][]);
  } finally {
    db.close();
  }
}

/** The engine's own tables and indexes, without the users' rows and what belongs to those. */
export function metadataBytes(sizes: ReadonlyMap<string, number>): number {
  const own = [...sizes].filter(([name]) => name.startsWith("_patina_") && !name.startsWith("_patina_rows_"));
  return own.reduce((sum, [, bytes]) => sum + bytes, 0);
}
