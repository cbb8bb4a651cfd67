/**
 * The store: a cluster's tables in one SQLite file, with everything that makes them replicate. It is synchronous, and
 * what it returns is committed. Time comes in as an argument and identity at construction.
 *
 * Two connections, never used at once: `sql` runs users' SQL under capture triggers, `plain` writes whole objects and joins
 * peers' changes without. Local writes sync the log, so that an acknowledged write survives power loss; what power loss
 * takes of peers' changes, anti-entropy brings back: their holdings are lost in the same transaction.
 */
import {
  AppError,
  type ApplyOutcome,
  type Change,
  type ChangedRow,
  type ClusterId,
  type DbId,
  type DoubtfulRow,
  type EmptyVersions,
  type FencedWrite,
  type Heads,
  type Hlc,
  HlcClock,
  type Holdings,
  type NodeId,
  type OriginId,
  originId,
  originNode,
  type Ranges,
  type RowWrite,
  type SqlValue,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type Database from "better-sqlite3";
import { Aside } from "./aside.js";
import { Digest } from "./digest.js";
import { Engine, type EngineParts, forgetTemporary } from "./engine.js";
import type { Extract } from "./extract.js";
import { Extras } from "./extras.js";
import { createEngineTables, FORMAT, readMeta, writeMeta } from "./layout.js";
import { defaultStoreLimits, type StoreLimits } from "./limits.js";
import { migrate } from "./migrate.js";
import { cannotOpen, openDatabase } from "./open-database.js";
import { Origins } from "./origins.js";
import { Owners } from "./ownership.js";
import { RecentChanges } from "./recent.js";
import { parseSchema } from "./schema.js";
import {
  nextVersion,
  schemaHistory,
  SCHEMAS_TABLE,
  schemaToOpen,
  type SchemaVersion,
  schemaWrite,
} from "./schema-history.js";
import type { SchemaPlan } from "./schema-plan.js";
import { quoteName } from "./sql/tokens.js";
import { WriteGuard } from "./write-guard.js";

export interface StoreOptions {
  readonly path: string;
  readonly cluster: ClusterId;
  readonly node: NodeId;
  /** The worker that this store writes for, as owner columns name it; the node's id when left out. */
  readonly worker?: string;
  /** Used when the file is fresh, restored, or was another node's: versions are never issued twice. */
  readonly newDbId: () => DbId;
  readonly schemaSql: string;
  readonly limits?: StoreLimits;
  /** Pages in the WAL before a commit checkpoints it inline; 0 leaves that to `checkpointWal` in another thread. */
  readonly walAutocheckpointPages?: number;
}

export class SqliteStore {
  readonly origin: OriginId;
  readonly cluster: ClusterId;
  readonly #sql: Database.Database;
  readonly #plain: Database.Database;
  readonly #parts: EngineParts;
  readonly #guard: WriteGuard;
  readonly #recent: RecentChanges;
  readonly #reads = new Map<string, Database.Statement>();
  #engine: Engine;

  /**
   * Opens or creates the file. Throws `data-dir-foreign` for a file of another cluster, `schema-invalid` or
   * `schema-destructive` for a schema it cannot take, and `store-failed` when SQLite cannot open it.
   */
  constructor(options: StoreOptions) {
    const limits = options.limits ?? defaultStoreLimits;
    const pages = options.walAutocheckpointPages ?? 1000;
    const shipped = parseSchema(options.schemaSql);
    const [sql, plain] = openBoth(options.path, pages);
    this.#sql = sql;
    this.#plain = plain;
    this.#guard = new WriteGuard(options.path, limits.walBytesMax);
    this.#recent = new RecentChanges(limits.recentBytesMax);
    try {
      createEngineTables(sql);
      this.cluster = { name: options.cluster.name, generation: checkCluster(sql, options) };
      const waiting = { extras: new Extras(sql), aside: new Aside(sql) };
      const before = readMeta(sql, "schema");
      const schema = schemaToOpen(sql, shipped);
      migrate(sql, schema, waiting);
      this.origin = originId(options.node, adoptDbId(sql, options));
      const origins = new Origins(sql);
      const clock = new HlcClock(origins.highWater());
      const self = { node: options.node, worker: options.worker ?? options.node };
      const owners = new Owners(sql, self, origins, limits.contestsMax);
      const digest = new Digest(sql);
      this.#parts = { sql, plain, waiting, origins, digest, clock, self: this.origin, owners, limits };
      this.#engine = new Engine(schema, this.#parts);
      if (before !== schema.sql) this.#engine.applier.retryQuarantined();
    } catch (thrown) {
      this.close();
      throw cannotOpen(options.path, thrown);
    }
  }

  /**
   * Local writes, grouped: one durable transaction, one outcome each. Throws `store-busy` when none was kept and trying
   * again may help, and `store-failed` when the file takes no more writes: then every later call throws the same, and
   * whether these were kept is known once the file has been opened anew.
   */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    const outcomes = this.#guard.write(() => this.#engine.writer.commit(writes, wallMs));
    let brings = false;
    for (const outcome of outcomes) {
      if (!outcome.ok || outcome.change === undefined) continue;
      this.#recent.add(outcome.change);
      brings ||= outcome.rows.some(isSchemaRow);
    }
    if (brings) this.#adoptSchema();
    return outcomes;
  }

  /** Joins changes of other origins. Returned means committed; nothing of it is held otherwise. Throws like `commit`. */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[] = [], owed: Heads = new Map()): ApplyOutcome {
    const outcome = this.#guard.write(() => this.#engine.applier.apply(changes, empties, owed));
    for (const change of changes) this.#recent.add(change);
    if (!outcome.rows.some(isSchemaRow)) return outcome;
    const retried = this.#adoptSchema();
    return {
      ...outcome,
      rows: [...outcome.rows, ...retried.rows],
      conflicts: [...outcome.conflicts, ...retried.conflicts],
    };
  }

  /** The tables this member has now, as SQL text, and the versions that the cluster agreed on, the latest first. */
  schema(): { readonly sql: string; readonly hash: string; readonly history: readonly SchemaVersion[] } {
    const { sql, hash } = this.#engine.schema;
    return { sql, hash, history: schemaHistory(this.#plain) };
  }

  /**
   * What applying this schema would change, and the write that does it everywhere; no write when it changes nothing.
   * Throws `schema-invalid`, `schema-destructive` or `bad-request`.
   */
  planSchema(
    sql: string,
    ignored: readonly string[] = [],
  ): { plan: SchemaPlan; version: number; write: RowWrite | undefined } {
    const history = schemaHistory(this.#plain);
    const { plan, next } = nextVersion(this.#engine.schema, history, { sql, ignored, author: originNode(this.origin) });
    return { plan, version: next?.version ?? history[0]?.version ?? 0, write: next && schemaWrite(next) };
  }

  holdings(): Holdings {
    return this.#parts.origins.holdings();
  }

  /** What is held of `wanted`, oldest first, about `bytesMax` of it. Throws `store-failed` when it cannot be read. */
  extract(origin: OriginId, wanted: Ranges, bytesMax: number): Extract {
    const recent = (version: number): Change | undefined => this.#recent.get(origin, version);
    return this.#guard.read(() => this.#engine.extractor.extract(origin, wanted, bytesMax, recent));
  }

  /** The state digest, 64 hex digits: equal holdings must mean equal digests. */
  digest(): string {
    return this.#parts.digest.total().toString("hex");
  }

  /** The digest, unless something is owed or in quarantine: then this state may differ from a peer's. */
  comparableDigest(): string | undefined {
    return this.isWhole && this.quarantinedCount() === 0 ? this.digest() : undefined;
  }

  /**
   * Is everything held that the rows depend on? Between a repair and what overwrote its rows elsewhere it is not, and a
   * row may be missing that was never deleted.
   */
  get isWhole(): boolean {
    return this.#parts.origins.isWhole;
  }

  /** What is held or owed: the basis of anything read back from these rows. */
  basis(): Heads {
    return this.#parts.origins.basis();
  }

  /** Per table that has rows, its part of the digest. */
  tableDigests(): Record<string, string> {
    return Object.fromEntries(this.#parts.digest.tables());
  }

  /** The highest HLC issued or observed. */
  highWater(): Hlc {
    return this.#parts.clock.high;
  }

  /** The highest HLC of an app's own rows, tombstones included. `table` must name one with an app column. */
  appHighWater(table: string, app: string): Hlc {
    const { rowsTable, appColumn } = this.#engine.tables.get(table) ?? {};
    if (rowsTable === undefined || appColumn === undefined) return 0n;
    const sql = `SELECT max(
      coalesce((SELECT max(_patina_hlc) FROM ${quoteName(rowsTable)} WHERE ${quoteName(appColumn)} = ?), 0),
      coalesce((SELECT max(hlc) FROM _patina_tombstones WHERE tbl = ? AND app = ?), 0))`;
    const [row] = this.read(sql, [app, table, app]) as [bigint][];
    return row?.[0] ?? 0n;
  }

  /** Tables whose rows belong to apps. */
  appTables(): string[] {
    return [...this.#engine.tables.values()].filter(({ appColumn }) => appColumn !== undefined).map(({ name }) => name);
  }

  /** The column that names a row's app, for tables that have one. */
  appColumn(table: string): string | undefined {
    return this.#engine.tables.get(table)?.appColumn;
  }

  /** A table's columns as `SELECT *` gives them. */
  columns(table: string): string[] {
    return this.#plain
      .prepare(`SELECT * FROM ${quoteName(table)}`)
      .columns()
      .map(({ name }) => name);
  }

  /** Rows of a query of the engine's own, as arrays. Never hand it a user's SQL: it runs on this thread. */
  read(sql: string, params: readonly SqlValue[] = []): SqlValue[][] {
    let statement = this.#reads.get(sql);
    if (statement === undefined) {
      statement = this.#plain.prepare(sql).raw().safeIntegers(true);
      this.#reads.set(sql, statement);
    }
    return statement.all(...params) as SqlValue[][];
  }

  /**
   * A slice of housekeeping, short enough for the thread that gossips; false when there is nothing to do. Call it now
   * and then: what it sweeps is bounded by it. Throws like `commit`.
   */
  maintain(keysMax: number): boolean {
    const { log } = this.#engine;
    if (!log.needsSweep) return false;
    this.#guard.write(() => this.#plain.transaction(() => log.sweep(keysMax)).immediate());
    return true;
  }

  /** Makes the latest version's tables this member's. What they made visible is returned like rows just written. */
  #adoptSchema(): Pick<ApplyOutcome, "rows" | "conflicts"> {
    const [latest] = schemaHistory(this.#plain);
    if (latest === undefined || latest.sql === this.#engine.schema.sql) return { rows: [], conflicts: [] };
    let schema = parseSchema(latest.sql);
    forgetTemporary(this.#sql);
    try {
      this.#guard.write(() => migrate(this.#sql, schema, this.#parts.waiting));
    } catch (thrown) {
      schema = this.#engine.schema;
      throw thrown;
    } finally {
      this.#reads.clear();
      this.#engine = new Engine(schema, this.#parts);
    }
    return this.#engine.applier.retryQuarantined();
  }

  /** The worker that this store writes for. */
  get worker(): string {
    return this.#parts.owners.self.worker;
  }

  /** What was found about whose rows these are: rows two claim, and this node's own writes that were fenced. */
  contests(): { readonly doubtful: readonly DoubtfulRow[]; readonly fenced: readonly FencedWrite[] } {
    const { contests } = this.#parts.owners;
    return { doubtful: contests.doubtful(this.#plain), fenced: contests.fenced(this.#plain) };
  }

  doubtfulCount(): number {
    return Number(this.read("SELECT count(*) FROM _patina_doubtful")[0]?.[0] ?? 0);
  }

  quarantinedCount(): number {
    return Number(this.read("SELECT count(*) FROM _patina_quarantine")[0]?.[0] ?? 0);
  }

  close(): void {
    this.#plain.close();
    this.#sql.close();
  }
}

function isSchemaRow({ table }: ChangedRow): boolean {
  return table === SCHEMAS_TABLE.name;
}

function openBoth(path: string, walAutocheckpointPages: number): [sql: Database.Database, plain: Database.Database] {
  const sql = openDatabase(path, walAutocheckpointPages);
  try {
    return [sql, openDatabase(path, walAutocheckpointPages)];
  } catch (thrown) {
    sql.close();
    throw thrown;
  }
}

/** Makes a fresh file this cluster's, and refuses another's. The generation that holds: a restored file brings its own. */
function checkCluster(db: Database.Database, { cluster, path }: StoreOptions): number {
  const name = readMeta(db, "cluster");
  if (name === undefined) {
    writeMeta(db, "format", String(FORMAT));
    writeMeta(db, "cluster", cluster.name);
    writeMeta(db, "generation", String(cluster.generation));
    return cluster.generation;
  }
  if (name !== cluster.name) {
    db.close();
    throw new AppError("data-dir-foreign", `${path} belongs to cluster ${name}, not ${cluster.name}`, {
      hint: "Point this agent at its own data directory, or move the other one away.",
    });
  }
  return Number(readMeta(db, "generation"));
}

function adoptDbId(db: Database.Database, { node, newDbId }: StoreOptions): DbId {
  const known = readMeta(db, "db");
  if (known !== undefined && readMeta(db, "node") === node) return known;
  const fresh = newDbId();
  writeMeta(db, "node", node);
  writeMeta(db, "db", fresh);
  return fresh;
}
