/**
 * Transactions of one connection, and what memory does when one fails: it goes back to what is on disk.
 *
 * Durability is a transaction's own: FULL syncs the write-ahead log before it returns, and with it everything that NORMAL
 * transactions wrote there before.
 */
import type Database from "better-sqlite3";
import { transactionError } from "./sqlite-error.js";

/** `FULL`: it survives power loss once committed. `NORMAL`: it survives a crash of the process. */
export type Durability = "FULL" | "NORMAL";

/** What mirrors the database in memory and is written with each transaction. */
export interface Mirror {
  flush(db: Database.Database): void;
  reload(): void;
}

/** Whether everything committed so far would survive power loss, for all connections to one file. */
export interface SyncState {
  isDurable: boolean;
}

export class Transactions {
  readonly #db: Database.Database;
  readonly #mirrors: readonly Mirror[];
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #savepoint: Database.Statement;
  readonly #release: Database.Statement;
  readonly #changes: Database.Statement;
  readonly #sync: SyncState;
  #durability: Durability | undefined;

  constructor(db: Database.Database, mirrors: readonly Mirror[], sync: SyncState) {
    this.#db = db;
    this.#sync = sync;
    this.#mirrors = mirrors;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#savepoint = db.prepare("SAVEPOINT one");
    this.#release = db.prepare("RELEASE one");
    this.#changes = db.prepare("SELECT total_changes()").pluck();
  }

  get isOpen(): boolean {
    return this.#db.inTransaction;
  }

  /** All of `work` or nothing. Throws `store-busy` or `store-failed` when it could not be committed. */
  run<T>(durability: Durability, work: (db: Database.Database) => T): T {
    try {
      this.#setDurability(durability);
      this.#begin.run();
      const changesBefore = this.#changes.get() as number;
      const result = work(this.#db);
      for (const mirror of this.#mirrors) mirror.flush(this.#db);
      const hasWritten = (this.#changes.get() as number) > changesBefore;
      this.#commit.run();
      if (hasWritten) this.#sync.isDurable = durability === "FULL"; // One that wrote nothing synced nothing.
      return result;
    } catch (thrown) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      for (const mirror of this.#mirrors) mirror.reload();
      throw transactionError(thrown);
    }
  }

  /** All of `work` or nothing of it, within a transaction that goes on either way. Throws what `work` throws. */
  inSavepoint<T>(work: (db: Database.Database) => T): T {
    this.#savepoint.run();
    try {
      const result = work(this.#db);
      this.#release.run();
      return result;
    } catch (thrown) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK TO one; RELEASE one");
      throw thrown;
    }
  }

  #setDurability(durability: Durability): void {
    if (this.#durability === durability) return;
    this.#db.pragma(`synchronous = ${durability}`);
    this.#durability = durability;
  }
}
