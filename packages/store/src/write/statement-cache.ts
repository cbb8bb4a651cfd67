/** Users' writes, rewritten and compiled once; the least recently used go first when the cache is full. */
import { AppError } from "@patina/base";
import type Database from "better-sqlite3";
import type { StoreLimits } from "../database/limits.js";
import { type FindTarget, rewriteWrite } from "../sql/write-statement.js";
import { assertUnicode } from "../rows/text.js";
import { sqlError } from "../database/sqlite-error.js";

export class StatementCache {
  readonly #db: Database.Database;
  readonly #find: FindTarget;
  readonly #limits: StoreLimits;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();

  constructor(db: Database.Database, find: FindTarget, limits: StoreLimits) {
    this.#db = db;
    this.#find = find;
    this.#limits = limits;
  }

  /** The compiled write. Throws `sql-not-allowed` or `sql-error`. */
  get(sql: string): Database.Statement<unknown[]> {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, cached);
      return cached;
    }
    const statement = this.#compile(sql);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > this.#limits.statementsCachedMax && oldest !== undefined)
      this.#statements.delete(oldest);
    return statement;
  }

  #compile(sql: string): Database.Statement<unknown[]> {
    const bytes = Buffer.byteLength(sql);
    if (bytes > this.#limits.sqlBytesMax) {
      const message = `the SQL text has ${bytes} bytes; at most ${this.#limits.sqlBytesMax} are allowed`;
      throw new AppError("bad-request", message, { hint: "Pass values as parameters." });
    }
    assertUnicode(sql, "the SQL text");
    try {
      return this.#db.prepare<unknown[]>(rewriteWrite(sql, this.#find));
    } catch (thrown) {
      throw thrown instanceof AppError ? thrown : sqlError(thrown);
    }
  }
}
