/** A cluster's schema as its members ask for it: what it is, and the writes that change it. */
import type { NodeId, RowWrite } from "@patina/base";
import type Database from "better-sqlite3";
import { hiddenNames } from "./hidden.js";
import type { Schema } from "./schema.js";
import { dropVersion, nextVersion, schemaHistory, type SchemaVersion, schemaWrite } from "./schema-history.js";
import type { SchemaPlan } from "./schema-plan.js";

export interface PlannedSchema {
  readonly plan: SchemaPlan;
  readonly version: number;
  /** The write that does it everywhere; none when it changes nothing. */
  readonly write: RowWrite | undefined;
}

export class Schemas {
  readonly #db: Database.Database;
  readonly #author: NodeId;
  readonly #current: () => Schema;

  constructor(db: Database.Database, author: NodeId, current: () => Schema) {
    this.#db = db;
    this.#author = author;
    this.#current = current;
  }

  /** The tables this member has now, as SQL text, and the versions that the cluster agreed on, the latest first. */
  current(): { readonly sql: string; readonly hash: string; readonly history: readonly SchemaVersion[] } {
    const { sql, hash } = this.#current();
    return { sql, hash, history: schemaHistory(this.#db) };
  }

  /** What applying this schema would change. Throws `schema-invalid`, `schema-destructive` or `bad-request`. */
  plan(sql: string, ignored: readonly string[] = []): PlannedSchema {
    const history = schemaHistory(this.#db);
    const { plan, next } = nextVersion(this.#current(), history, { sql, ignored, author: this.#author });
    return { plan, version: next?.version ?? history[0]?.version ?? 0, write: next && schemaWrite(next) };
  }

  /** The write that erases hidden tables and columns everywhere. Throws `bad-request` for names that are not hidden. */
  drop(names: readonly string[]): RowWrite {
    return schemaWrite(dropVersion(schemaHistory(this.#db), names, hiddenNames(this.#db), this.#author));
  }
}
