/** One statement that several connections run: compiled on each at its first use there, and kept. */
import type Database from "better-sqlite3";

export class SharedStatement {
  readonly #sql: string;
  readonly #byConnection = new WeakMap<Database.Database, Database.Statement>();

  constructor(sql: string) {
    this.#sql = sql;
  }

  on(db: Database.Database): Database.Statement {
    let statement = this.#byConnection.get(db);
    if (statement === undefined) this.#byConnection.set(db, (statement = db.prepare(this.#sql)));
    return statement;
  }
}
