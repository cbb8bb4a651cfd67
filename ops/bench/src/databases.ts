/**
 * The databases that are compared: stores as agents open them, and bare SQLite with the same schema and settings.
 *
 * Writing leaves work behind in the write-ahead log. Each turn begins with an empty one, and what is left at its end is
 * cut before the next, so that nobody's debt is paid in another's turn.
 */
import { AppError, must, type Write, type WriteOutcome } from "@patina/base";
import { Maintenance, newDbId, newNodeId, systemNow } from "@patina/runtime";
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
export function commitOne(
  store: SqliteStore,
  write: Write,
  wallMs = systemNow().wallMs,
): Extract<WriteOutcome, { ok: true }> {
  const outcome = must(unlessBusy(() => store.commit([write], wallMs))[0], "an outcome");
  if (!outcome.ok) throw outcome.error;
  return outcome;
}

/** While a slow disk keeps the cutting of the log from ending, a store is busy. It costs the time it takes. */
const BUSY_ATTEMPTS = 40;

export function unlessBusy<T>(work: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return work();
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "store-busy" || attempt === BUSY_ATTEMPTS) throw thrown;
    }
  }
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

/** Keys that an agent sweeps at a time, and how often. */
const MAINTAIN_KEYS = 500;
const MAINTAIN_EVERY_MS = 50;

/** A store as an agent runs it: a thread cuts its write-ahead log, and its housekeeping goes on beside the writes. */
export class AgentStore {
  readonly store: SqliteStore;
  readonly #maintenance: Maintenance;
  #maintainedMs = 0;

  constructor(path: string) {
    this.store = openStore(path, 0);
    this.#maintenance = new Maintenance(path);
  }

  /** Call it after every write: a slice of housekeeping when it is due. */
  maintain(): void {
    const nowMs = performance.now();
    if (nowMs - this.#maintainedMs < MAINTAIN_EVERY_MS) return;
    this.#maintainedMs = nowMs;
    unlessBusy(() => this.store.maintain(MAINTAIN_KEYS));
  }

  async close(): Promise<void> {
    await this.#maintenance.close();
    this.store.close();
  }
}

/**
 * SQLite with nothing around it, as better-sqlite3 opens it: what the hardware and the file format allow. Its commits
 * cut the write-ahead log themselves, unless `cutBy` leaves that to a thread like an agent's.
 */
export class BareDatabase {
  readonly #db: Database.Database;
  readonly #upsert: Database.Statement;
  readonly #maintenance: Maintenance | undefined;

  constructor(path: string, synchronous: Durability, cutBy: "commits" | "thread" = "commits") {
    this.#db = new Database(path);
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma(`synchronous = ${synchronous}`);
    this.#db.pragma("temp_store = MEMORY");
    if (cutBy === "thread") this.#db.pragma("wal_autocheckpoint = 0");
    this.#db.exec(MACHINES_SCHEMA.replaceAll("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").replaceAll("CREATE INDEX", "CREATE INDEX IF NOT EXISTS")); // prettier-ignore
    this.#upsert = this.#db.prepare(UPSERT);
    this.#maintenance = cutBy === "thread" ? new Maintenance(path) : undefined;
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

  async close(): Promise<void> {
    await this.#maintenance?.close();
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
