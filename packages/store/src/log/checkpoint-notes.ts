/**
 * What the members of a cluster know about its checkpoints without asking the object store: the newest of each level, and the
 * newest that was proved by restoring it. They learn from it that a period is done, and that a store has lost what it had.
 */
import { must, type RowWrite } from "@patina/base";
import type Database from "better-sqlite3";
import { rowsTable } from "../database/layout.js";
import { parseSchema, type TableSchema } from "../schema/schema.js";

/** Its rows are written by the engine's own callers only: users may not name it. */
export const CHECKPOINTS_TABLE: TableSchema = must(
  parseSchema(
    `CREATE TABLE _patina_checkpoints (
      level TEXT NOT NULL PRIMARY KEY,
      manifest TEXT NOT NULL DEFAULT '',
      at INTEGER NOT NULL DEFAULT 0)`,
    true,
  ).tables[0],
  "a table",
);

export interface CheckpointNote {
  /** `base`, `d2`, `d1`, `d0`, or `verified`. */
  readonly level: string;
  /** The manifest's id; of `verified`, the base that was restored. */
  readonly manifest: string;
  /** When it was taken, or proved, by the object store's clock. */
  readonly atMs: number;
}

export class CheckpointNotes {
  readonly #read: Database.Statement;

  constructor(db: Database.Database) {
    this.#read = db
      .prepare(`SELECT level, manifest, at FROM ${rowsTable(CHECKPOINTS_TABLE.name)} ORDER BY level`)
      .raw();
  }

  list(): CheckpointNote[] {
    const rows = this.#read.all() as [level: string, manifest: string, at: number][];
    return rows.map(([level, manifest, atMs]) => ({ level, manifest, atMs }));
  }

  /** The row to write, as the engine's own, for a checkpoint just taken or proved. */
  note({ level, manifest, atMs }: CheckpointNote): RowWrite {
    return { table: CHECKPOINTS_TABLE.name, values: { level, manifest, at: BigInt(Math.floor(atMs)) } };
  }
}
