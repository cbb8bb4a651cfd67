/**
 * Whose copies count: every node enlists itself with its database's id in a replicated row, before anything of it is heard.
 * What all of these hold may be forgotten. A node that is gone for good is evicted, so that it holds up nobody; should it
 * come back, it finds itself evicted and starts over with an empty database under a new id.
 */
import { type DbId, type Hlc, must, type NodeId, type OriginId, originId, type RowWrite } from "@patina/base";
import type Database from "better-sqlite3";
import { rowsTable } from "../database/layout.js";
import { parseSchema, type TableSchema } from "../schema/schema.js";

/** Its rows are written by the engine's own callers only: users may not name it. */
export const MEMBERS_TABLE: TableSchema = must(
  parseSchema(
    `CREATE TABLE _patina_members (
      node TEXT NOT NULL PRIMARY KEY,
      db TEXT NOT NULL DEFAULT '',
      evicted INTEGER NOT NULL DEFAULT 0)`,
    true,
  ).tables[0],
  "a table",
);

interface Enlisted {
  readonly db: DbId;
  readonly isEvicted: boolean;
  /** When this was written. */
  readonly hlc: Hlc;
}

export class Members {
  readonly #read: Database.Statement;
  readonly #self: { readonly node: NodeId; readonly db: DbId };
  #byNode: ReadonlyMap<NodeId, Enlisted> = new Map();
  #copies: readonly OriginId[] = [];

  constructor(db: Database.Database, self: { readonly node: NodeId; readonly db: DbId }) {
    this.#read = db
      .prepare(`SELECT node, db, evicted, _patina_hlc AS hlc FROM ${rowsTable(MEMBERS_TABLE.name)} ORDER BY node`)
      .safeIntegers(true);
    this.#self = self;
    this.reload();
  }

  /** Call it when rows of the table have changed. */
  reload(): void {
    const rows = this.#read.all() as { node: NodeId; db: DbId; evicted: bigint; hlc: Hlc }[];
    this.#byNode = new Map(rows.map(({ node, db, evicted, hlc }) => [node, { db, isEvicted: evicted !== 0n, hlc }]));
    this.#copies = rows.flatMap(({ node, db, evicted }) => (evicted === 0n ? [originId(node, db)] : []));
  }

  /** Every node whose copy counts, whether it is up or not. */
  roster(): NodeId[] {
    return [...this.#byNode].flatMap(([node, { isEvicted }]) => (isEvicted ? [] : [node]));
  }

  /** Those copies: the databases that they are enlisted with. */
  copies(): readonly OriginId[] {
    return this.#copies;
  }

  /** What is on record of a node. */
  enlisted(node: NodeId): Enlisted | undefined {
    return this.#byNode.get(node);
  }

  /** This database was given up by the others: it must not be used any more. */
  get isSelfEvicted(): boolean {
    const { node, db } = this.#self;
    const known = this.#byNode.get(node);
    return known?.isEvicted === true && known.db === db;
  }

  /** Versions of this origin are not taken from its own node any more. */
  isEvicted(node: NodeId, origin: OriginId): boolean {
    const known = this.#byNode.get(node);
    return known?.isEvicted === true && origin === originId(node, known.db);
  }

  /** Nothing is taken from this node, until it has enlisted anew. */
  isNodeEvicted(node: NodeId): boolean {
    return this.#byNode.get(node)?.isEvicted === true;
  }

  /** The write that enlists this node; none when it is enlisted already. */
  enlistment(): RowWrite | undefined {
    const { node, db } = this.#self;
    if (this.#byNode.get(node)?.db === db) return undefined;
    return { table: MEMBERS_TABLE.name, values: { node, db, evicted: 0n } };
  }

  /** The write that evicts a node; none when it is not there to evict. */
  eviction(node: NodeId): RowWrite | undefined {
    const known = this.#byNode.get(node);
    if (known === undefined || known.isEvicted) return undefined;
    return { table: MEMBERS_TABLE.name, values: { node, db: known.db, evicted: 1n } };
  }
}
