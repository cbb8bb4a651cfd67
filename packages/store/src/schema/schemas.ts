/** A cluster's schema as its members ask for it: what it is, and the writes that change it. */
import type { AppError, NodeId, RowWrite } from "@patina/base";
import type Database from "better-sqlite3";
import type { Adoption } from "./adoption.js";
import { hiddenNames } from "./hidden.js";
import { parseSchema, type Schema } from "./schema.js";
import { dropVersion, nextVersion, schemaHistory, type SchemaVersion, schemaWrite } from "./schema-history.js";
import type { SchemaPlan } from "./schema-plan.js";

export interface PlannedSchema {
  readonly plan: SchemaPlan;
  readonly version: number;
  /** The write that does it everywhere; none when it changes nothing. */
  readonly write: RowWrite | undefined;
}

/** The store whose schema it is. */
export interface SchemaHolder {
  readonly current: () => Schema;
  readonly adoption: Adoption;
  /** A trial took the engine's triggers with it. */
  readonly onTried: () => void;
}

export class Schemas {
  readonly #db: Database.Database;
  readonly #author: NodeId;
  readonly #holder: SchemaHolder;

  constructor(db: Database.Database, author: NodeId, holder: SchemaHolder) {
    this.#db = db;
    this.#author = author;
    this.#holder = holder;
  }

  /** Why the latest version is not this member's, which goes on with the one before; undefined when it is. */
  get unadopted(): AppError | undefined {
    return this.#holder.adoption.problem;
  }

  /** The tables this member has now, as SQL text, and the versions that the cluster agreed on, the latest first. */
  current(): { readonly sql: string; readonly hash: string; readonly history: readonly SchemaVersion[] } {
    const { sql, hash } = this.#holder.current();
    return { sql, hash, history: schemaHistory(this.#db) };
  }

  /** What applying this schema would change. Throws `schema-invalid`, `schema-destructive` or `bad-request`. */
  plan(sql: string, ignored: readonly string[] = []): PlannedSchema {
    const history = schemaHistory(this.#db);
    const { plan, next } = nextVersion(this.#holder.current(), history, { sql, ignored, author: this.#author });
    if (next !== undefined) this.#tryOut(parseSchema(next.sql));
    return { plan, version: next?.version ?? history[0]?.version ?? 0, write: next && schemaWrite(next) };
  }

  /** The write that erases hidden tables and columns everywhere. Throws `bad-request` for names that are not hidden. */
  drop(names: readonly string[]): RowWrite {
    return schemaWrite(dropVersion(schemaHistory(this.#db), names, hiddenNames(this.#db), this.#author));
  }

  #tryOut(wanted: Schema): void {
    try {
      this.#holder.adoption.tryOut(wanted);
    } finally {
      this.#holder.onTried();
    }
  }
}
