/**
 * Taking a schema on without ever being stopped by one. What the engine's rules let through, SQLite may still refuse, some of it
 * only where there are rows: a check that fails, a generated column that cannot be added. So a schema is tried out before it is
 * applied; and a member on whose rows it cannot be had goes on with the one it has, and says so.
 */
import { AppError, messageOf } from "@patina/base";
import type Database from "better-sqlite3";
import { forgetTemporary } from "../database/forget-temporary.js";
import { readMeta } from "../database/layout.js";
import { isFatal, transactionError } from "../database/sqlite-error.js";
import { Aside } from "../rows/aside.js";
import { Extras } from "../rows/extras.js";
import type { Waiting } from "../rows/rows.js";
import { migrate } from "./migrate.js";
import { parseSchema, type Schema } from "./schema.js";
import { schemaHistory, schemaToOpen } from "./schema-history.js";

export class Adoption {
  readonly #db: Database.Database;
  readonly #waiting: Waiting;
  #problem: AppError | undefined;

  constructor(db: Database.Database, waiting: Waiting) {
    this.#db = db;
    this.#waiting = waiting;
  }

  /** Why the cluster's latest schema is not this member's; undefined when it is. */
  get problem(): AppError | undefined {
    return this.#problem;
  }

  /** The cluster's schema, or that of the file where it cannot be had. Throws for a file without one, and what is fatal. */
  open(shipped: Schema): Schema {
    const here = schemaHistory(this.#db).length === 0 ? undefined : readMeta(this.#db, "schema");
    return this.#take(() => schemaToOpen(this.#db, shipped), here === undefined ? undefined : parseSchema(here));
  }

  /** The same while the store is open, after the latest version has come. The engine must be made anew afterwards. */
  adopt(sql: string, current: Schema): Schema {
    forgetTemporary(this.#db); // A renamed column would break the engine's triggers.
    return this.#take(() => (sql === current.sql ? current : parseSchema(sql)), current);
  }

  /**
   * Does everything that taking it on would do, and undoes it. Throws `schema-invalid` for what this file cannot have, `store-busy`,
   * and `store-failed`. The engine must be made anew afterwards.
   */
  tryOut(schema: Schema): void {
    const waiting = { extras: new Extras(this.#db), aside: new Aside(this.#db) }; // What these remember goes with the trial.
    forgetTemporary(this.#db);
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      migrate(this.#db, schema, waiting);
    } catch (thrown) {
      throw isFatal(thrown) ? transactionError(thrown) : refusalOf(thrown);
    } finally {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
    }
  }

  /** `read`: another release's schema may be one that this one cannot read. */
  #take(read: () => Schema, otherwise: Schema | undefined): Schema {
    try {
      const wanted = read();
      migrate(this.#db, wanted, this.#waiting);
      this.#problem = undefined;
      return wanted;
    } catch (thrown) {
      if (otherwise === undefined || isFatal(thrown)) throw thrown;
      this.#problem = refusalOf(thrown);
      return otherwise;
    }
  }
}

/** `store-busy` when trying again may help, and `schema-invalid` when not. */
function refusalOf(thrown: unknown): AppError {
  const error = transactionError(thrown);
  if (thrown instanceof AppError || error.code === "store-busy") return error;
  return new AppError("schema-invalid", `it cannot be had with the rows that are here: ${messageOf(thrown)}`, {
    cause: thrown,
    hint: "Nothing was changed. Give the column or the table another name, or leave out what the message names.",
  });
}
