/** The engine's own temporary tables and triggers: a connection has them until they are dropped, and they name tables by what these were. */
import type Database from "better-sqlite3";
import { quoteName } from "../sql/tokens.js";

/** Drops the triggers and scratch tables that an engine left on a connection: before its schema changes, and after. */
export function forgetTemporary(db: Database.Database): void {
  const rows = db
    .prepare("SELECT type, name FROM sqlite_temp_schema WHERE name LIKE '\\_patina\\_%' ESCAPE '\\'")
    .all();
  for (const { type, name } of rows as { type: string; name: string }[]) {
    if (type === "trigger" || type === "table") db.exec(`DROP ${type} temp.${quoteName(name)}`);
  }
}
