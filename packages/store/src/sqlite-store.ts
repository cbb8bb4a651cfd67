/**
 * The store: a cluster's tables in one SQLite file, with everything that makes them replicate. It is synchronous, and
 * what it returns is committed. Time comes in as an argument and identity at construction.
 *
 * Three connections, never used at once: `local` runs users' SQL under capture triggers and `plain` writes whole objects
 * without, both with synchronous=FULL, so that an acknowledged write survives power loss; `remote` joins peers' changes without triggers at NORMAL, since what power
 * loss takes of those, anti-entropy brings back: their holdings are lost in the same transaction.
 */
import { statSync } from "node:fs";
import {
  AppError,
  type ApplyOutcome,
  type Change,
  type ClusterId,
  type DbId,
  type EmptyVersions,
  type Heads,
  type Hlc,
  HlcClock,
  type Holdings,
  messageOf,
  type NodeId,
  type OriginId,
  originId,
  type Ranges,
  type SqlValue,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import Database from "better-sqlite3";
import { Capture } from "./capture.js";
import { ChangeLog } from "./change-log.js";
import { Digest } from "./digest.js";
import { type Extract, Extractor } from "./extract.js";
import { createEngineTables, FORMAT, migrate, readMeta, type Table, tableOf, writeMeta } from "./layout.js";
import { defaultStoreLimits, type StoreLimits } from "./limits.js";
import { LocalWriter } from "./local-writer.js";
import { Origins } from "./origins.js";
import { RecentChanges } from "./recent.js";
import { RemoteApplier } from "./remote-applier.js";
import { TableRows } from "./rows.js";
import { parseSchema } from "./schema.js";
import { quoteName } from "./sql/tokens.js";
import { transactionError } from "./sqlite-error.js";
import { StatementCache } from "./statement-cache.js";

export interface StoreOptions {
  readonly path: string;
  readonly cluster: ClusterId;
  readonly node: NodeId;
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
  readonly schemaHash: string;
  readonly #local: Database.Database;
  readonly #plain: Database.Database;
  readonly #remote: Database.Database;
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #origins: Origins;
  readonly #digest: Digest;
  readonly #clock: HlcClock;
  readonly #recent: RecentChanges;
  readonly #log: ChangeLog;
  readonly #writer: LocalWriter;
  readonly #applier: RemoteApplier;
  readonly #extractor: Extractor;
  readonly #reads = new Map<string, Database.Statement>();
  readonly #walPath: string;
  readonly #walBytesMax: number;
  /** After it no write is taken any more: what the file holds is known again only once it has been opened anew. */
  #failure: AppError | undefined;

  /**
   * Opens or creates the file. Throws `data-dir-foreign` for a file of another cluster, `schema-invalid` or
   * `schema-destructive` for a schema it cannot take, and `store-failed` when SQLite cannot open it.
   */
  constructor(options: StoreOptions) {
    const limits = options.limits ?? defaultStoreLimits;
    this.#walPath = `${options.path}-wal`;
    this.#walBytesMax = limits.walBytesMax;
    const pages = options.walAutocheckpointPages ?? 1000;
    const schema = parseSchema(options.schemaSql);
    const opened: Database.Database[] = [];
    const open = (synchronous: "FULL" | "NORMAL"): Database.Database => {
      const db = openDatabase(options.path, synchronous, pages);
      opened.push(db);
      return db;
    };
    try {
      this.#local = open("FULL");
      createEngineTables(this.#local);
      const generation = checkCluster(this.#local, options);
      this.cluster = { name: options.cluster.name, generation };
      const schemaChanged = readMeta(this.#local, "schema") !== schema.sql;
      migrate(this.#local, schema);
      this.schemaHash = schema.hash;
      this.origin = originId(options.node, adoptDbId(this.#local, options));
      this.#plain = open("FULL");
      this.#remote = open("NORMAL");

      const tables = schema.tables.map(tableOf);
      this.#tables = new Map(tables.map((table) => [table.name, table]));
      this.#origins = new Origins(this.#local);
      this.#digest = new Digest(this.#local);
      this.#clock = new HlcClock(this.#origins.highWater());
      this.#recent = new RecentChanges(limits.recentBytesMax);
      const remoteRows = rowsOf(this.#remote, tables);
      this.#log = new ChangeLog(this.#remote, remoteRows);
      const shared = { log: this.#log, origins: this.#origins, digest: this.#digest, clock: this.#clock, limits };
      const find = (name: string): Table | undefined => this.#findTable(name);
      this.#writer = new LocalWriter({
        ...shared,
        captured: { db: this.#local, rows: rowsOf(this.#local, tables) },
        plain: { db: this.#plain, rows: rowsOf(this.#plain, tables) },
        capture: new Capture(this.#local, tables),
        statements: new StatementCache(this.#local, find, limits),
        self: this.origin,
      });
      this.#applier = new RemoteApplier({ ...shared, db: this.#remote, rows: remoteRows });
      this.#extractor = new Extractor(this.#remote, this.#log, this.#origins);
      if (schemaChanged) this.#applier.retryQuarantined();
    } catch (thrown) {
      for (const db of opened) db.close();
      throw thrown instanceof AppError ? thrown : cannotOpen(options.path, thrown);
    }
  }

  /**
   * Local writes, grouped: one durable transaction, one outcome each. Throws `store-busy` when none was kept and trying
   * again may help, and `store-failed` when the file takes no more writes: then every later call throws the same.
   */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    const outcomes = this.#guarded(() => this.#writer.commit(writes, wallMs));
    for (const outcome of outcomes) if (outcome.ok && outcome.change !== undefined) this.#recent.add(outcome.change);
    return outcomes;
  }

  /** Joins changes of other origins. Returned means committed; nothing of it is held otherwise. Throws like `commit`. */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[] = [], owed: Heads = new Map()): ApplyOutcome {
    const outcome = this.#guarded(() => this.#applier.apply(changes, empties, owed));
    for (const change of changes) this.#recent.add(change);
    return outcome;
  }

  holdings(): Holdings {
    return this.#origins.holdings();
  }

  /** What is held of `wanted`, oldest first, about `bytesMax` of it. Throws `store-failed` when it cannot be read. */
  extract(origin: OriginId, wanted: Ranges, bytesMax: number): Extract {
    try {
      return this.#extractor.extract(origin, wanted, bytesMax, (version) => this.#recent.get(origin, version));
    } catch (thrown) {
      throw this.#noteFailure(transactionError(thrown));
    }
  }

  /** The state digest, 64 hex digits: equal holdings must mean equal digests. */
  digest(): string {
    return this.#digest.total().toString("hex");
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
    return this.#origins.isWhole;
  }

  /** What is held or owed: the basis of anything read back from these rows. */
  basis(): Heads {
    return this.#origins.basis();
  }

  /** Per table that has rows, its part of the digest. */
  tableDigests(): Record<string, string> {
    return Object.fromEntries(this.#digest.tables().map(([table, sum]) => [table, sum.toString("hex")]));
  }

  /** The highest HLC issued or observed. */
  highWater(): Hlc {
    return this.#clock.high;
  }

  /** The highest HLC of an app's own rows, tombstones included. `table` must name one with an app column. */
  appHighWater(table: string, app: string): Hlc {
    const { rowsTable, appColumn } = this.#tables.get(table) ?? {};
    if (rowsTable === undefined || appColumn === undefined) return 0n;
    const sql = `SELECT max(
      coalesce((SELECT max(_patina_hlc) FROM ${quoteName(rowsTable)} WHERE ${quoteName(appColumn)} = ?), 0),
      coalesce((SELECT max(hlc) FROM _patina_tombstones WHERE tbl = ? AND app = ?), 0))`;
    const [row] = this.read(sql, [app, table, app]) as [bigint][];
    return row?.[0] ?? 0n;
  }

  /** Tables whose rows belong to apps. */
  appTables(): string[] {
    return [...this.#tables.values()].filter(({ appColumn }) => appColumn !== undefined).map(({ name }) => name);
  }

  /** The column that names a row's app, for tables that have one. */
  appColumn(table: string): string | undefined {
    return this.#tables.get(table)?.appColumn;
  }

  /** A table's columns as `SELECT *` gives them. */
  columns(table: string): string[] {
    return this.#remote
      .prepare(`SELECT * FROM ${quoteName(table)}`)
      .columns()
      .map(({ name }) => name);
  }

  /** Rows of a query of the engine's own, as arrays. Never hand it a user's SQL: it runs on this thread. */
  read(sql: string, params: readonly SqlValue[] = []): SqlValue[][] {
    let statement = this.#reads.get(sql);
    if (statement === undefined) {
      statement = this.#remote.prepare(sql).raw().safeIntegers(true);
      this.#reads.set(sql, statement);
    }
    return statement.all(...params) as SqlValue[][];
  }

  /**
   * A slice of housekeeping, short enough for the thread that gossips; false when there is nothing to do. Call it now
   * and then: what it sweeps is bounded by it. Throws like `commit`.
   */
  maintain(entriesMax: number): boolean {
    if (!this.#log.needsSweep) return false;
    this.#guarded(() => this.#remote.transaction(() => this.#log.sweep(entriesMax)).immediate());
    return true;
  }

  quarantinedCount(): number {
    return Number(this.read("SELECT count(*) FROM _patina_quarantine")[0]?.[0] ?? 0);
  }

  close(): void {
    this.#remote.close();
    this.#plain.close();
    this.#local.close();
  }

  /** Work that writes: refused once the file has failed, and for as long as the log is too long. */
  #guarded<T>(work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    this.#checkWal();
    try {
      return work();
    } catch (thrown) {
      throw this.#noteFailure(transactionError(thrown));
    }
  }

  #noteFailure(error: AppError): AppError {
    if (error.code === "store-failed") this.#failure ??= error;
    return error;
  }

  /** A reader that never ends keeps the log from being cut; without a limit it would fill the disk. */
  #checkWal(): void {
    const bytes = statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= this.#walBytesMax) return;
    throw new AppError(
      "store-busy",
      `the write-ahead log has ${bytes} bytes; at most ${this.#walBytesMax} are allowed`,
      {
        hint: "Some process reads the database without end: find it with `fuser` and stop it. Writes go on by themselves.",
      },
    );
  }

  #findTable(name: string): Table | undefined {
    const exact = this.#tables.get(name);
    if (exact !== undefined) return exact;
    const lower = name.toLowerCase();
    return [...this.#tables.values()].find((table) => table.name.toLowerCase() === lower);
  }
}

function cannotOpen(path: string, cause: unknown): AppError {
  return new AppError("store-failed", `cannot open the database ${path}: ${messageOf(cause)}`, {
    cause,
    hint: "Check that the directory exists, is writable and is not full; restore a file that is damaged.",
  });
}

function openDatabase(path: string, synchronous: "FULL" | "NORMAL", walAutocheckpointPages: number): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path);
    db.pragma("journal_mode = WAL");
    db.pragma(`synchronous = ${synchronous}`);
    db.pragma(`wal_autocheckpoint = ${walAutocheckpointPages}`);
    db.pragma("temp_store = MEMORY");
    // Short: this thread also gossips. Only a checkpoint of the log, or a foreign process, ever makes it wait.
    db.pragma("busy_timeout = 250");
    return db;
  } catch (cause) {
    db?.close();
    throw cannotOpen(path, cause);
  }
}

function rowsOf(db: Database.Database, tables: readonly Table[]): Map<string, TableRows> {
  return new Map(tables.map((table) => [table.name, new TableRows(db, table)]));
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
