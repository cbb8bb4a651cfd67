/** Deleted rows: their clocks, kept apart from the tables, so that no user query or index ever meets one. */
import type { Hlc } from "@patina/base";
import type Database from "better-sqlite3";
import type { Clock } from "./rows.js";
import { SharedStatement } from "../database/shared-statement.js";

export interface Tombstone extends Clock {
  /** The app its row belonged to. */
  readonly app: string | undefined;
}

const READ = new SharedStatement(
  "SELECT epoch, hlc, origin, version, app FROM _patina_tombstones WHERE tbl = ? AND key = ?",
);
const PUT = new SharedStatement("INSERT OR REPLACE INTO _patina_tombstones VALUES (?, ?, ?, ?, ?, ?, ?)");
const DROP = new SharedStatement("DELETE FROM _patina_tombstones WHERE tbl = ? AND key = ?");

interface Stored {
  readonly epoch: bigint;
  readonly hlc: Hlc;
  readonly origin: bigint;
  readonly version: bigint;
  readonly app: string | null;
}

export function readTombstone(db: Database.Database, table: string, key: Uint8Array): Tombstone | undefined {
  const row = READ.on(db).safeIntegers(true).get(table, key) as Stored | undefined;
  if (row === undefined) return undefined;
  const { epoch, hlc, origin, version, app } = row;
  return { epoch: Number(epoch), hlc, origin: Number(origin), version: Number(version), app: app ?? undefined };
}

export function putTombstone(
  db: Database.Database,
  table: string,
  key: Uint8Array,
  { epoch, hlc, origin, version, app }: Tombstone,
): void {
  PUT.on(db).run(table, key, epoch, hlc, origin, version, app ?? null);
}

export function dropTombstone(db: Database.Database, table: string, key: Uint8Array): void {
  DROP.on(db).run(table, key);
}
