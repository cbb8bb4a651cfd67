/**
 * The databases that are compared: stores as agents open them, and bare SQLite with the same schema and settings.
 *
 * Writing leaves work behind in the write-ahead log. Each turn begins with an empty one and is charged for emptying it
 * again, so that nobody's debt is paid in another's turn.
 */
import { must, type Write, type WriteOutcome } from "@patina/base";
import { newDbId, newNodeId, systemNow } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import Database from "better-sqlite3";
import { type Machine, type Machines, MACHINES_SCHEMA, UPSERT } from "./machines.js";

/** What the store's two connections use, and the bare peer of each with it. */
export type Durability = "FULL" | "NORMAL";

export const CLUSTER = { name: "bench", generation: 1 } as const;
const LOAD_ROWS_PER_COMMIT = 100;

export function openStore(path: string, walAutocheckpointPages = 1000): SqliteStore {
  const node = newNodeId();
  return new SqliteStore({ path, cluster: CLUSTER, node, newDbId, schemaSql: MACHINES_SCHEMA, walAutocheckpointPages });
}

/** Commits one write and hands back its outcome; what a store refuses ends the run. */
export function commitOne(store: SqliteStore, write: Write): Extract<WriteOutcome, { ok: true }> {
  const outcome = must(store.commit([write], systemNow().wallMs)[0], "an outcome");
  if (!outcome.ok) throw outcome.error;
  return outcome;
}

export function rowsWrite(machines: readonly Machine[]): Write {
  return { kind: "rows", rows: machines.map(({ write }) => write) };
}

export function statementsWrite(machines: readonly Machine[]): Write {
  return { kind: "statements", statements: machines.map(({ statement }) => statement) };
}

export function loadStore(store: SqliteStore, machines: Machines): void {
  for (const batch of machines.batches(LOAD_ROWS_PER_COMMIT)) commitOne(store, rowsWrite(batch));
}

/** SQLite with nothing around it: what the hardware and the file format allow. */
export class BareDatabase {
  readonly #db: Database.Database;
  readonly #upsert: Database.Statement;

  constructor(path: string, synchronous: Durability) {
    this.#db = new Database(path);
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma(`synchronous = ${synchronous}`);
    this.#db.pragma("temp_store = MEMORY");
    this.#db.exec(MACHINES_SCHEMA);
    this.#upsert = this.#db.prepare(UPSERT);
  }

  load(machines: Machines): void {
    for (const batch of machines.batches(LOAD_ROWS_PER_COMMIT)) this.upsert(batch);
  }

  /** One transaction. */
  upsert(machines: readonly Machine[]): void {
    this.#db.exec("BEGIN IMMEDIATE");
    for (const { params } of machines) this.#upsert.run(...params);
    this.#db.exec("COMMIT");
  }

  close(): void {
    this.#db.close();
  }
}

/** Bare reads of rows by key, from a store's own file: what reading a version back can at best cost. */
export class BareReader {
  readonly #db: Database.Database;
  readonly #select: Database.Statement;

  constructor(path: string) {
    this.#db = new Database(path, { fileMustExist: true });
    this.#select = this.#db.prepare("SELECT * FROM _patina_rows_machines WHERE id = ?").raw().safeIntegers(true);
  }

  rows(ids: readonly string[]): unknown[] {
    return ids.map((id) => this.#select.get(id));
  }

  close(): void {
    this.#db.close();
  }
}

/** A second look at a database file, to empty its write-ahead log from outside. */
export class WalCutter {
  readonly #db: Database.Database;

  constructor(path: string) {
    this.#db = new Database(path, { fileMustExist: true });
  }

  cut(): void {
    this.#db.pragma("wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    this.#db.close();
  }
}
