/**
 * The store: a cluster's tables in one SQLite file, with everything that makes them replicate. It is synchronous, and
 * what it returns is committed. Time comes in as an argument and identity at construction.
 *
 * Three connections, never used at once: `local` runs users' SQL under capture triggers and `plain` writes whole objects
 * without, both with synchronous=FULL, so that an acknowledged write survives power loss; `remote` joins peers' changes without triggers at NORMAL, since what power
 * loss takes of those, anti-entropy brings back: their holdings are lost in the same transaction.
 */
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
import { BUCKETS, Digest } from "./digest.js";
import { type Extract, Extractor } from "./extract.js";
import { createEngineTables, FORMAT, migrate, readMeta, type Table, tableOf, writeMeta } from "./layout.js";
import { defaultStoreLimits, type StoreLimits } from "./limits.js";
import { LocalWriter } from "./local-writer.js";
import { readObject, type StoredObject, tableUnknown } from "./object.js";
import { Origins } from "./origins.js";
import { Quarantine, type QuarantineCursor, type QuarantinedChange } from "./quarantine.js";
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

/** Quarantined changes tried again in one go, of up to a transaction's size each. */
const RETRY_CHANGES = 4;

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
  readonly #quarantine: Quarantine;
  readonly #remoteRows: ReadonlyMap<string, TableRows>;
  readonly #reads = new Map<string, Database.Statement>();

  /**
   * Opens or creates the file. Throws `data-dir-foreign` for a file of another cluster, `schema-invalid` or
   * `schema-destructive` for a schema it cannot take, and `store-failed` when SQLite cannot open it.
   */
  constructor(options: StoreOptions) {
    const limits = options.limits ?? defaultStoreLimits;
    const pages = options.walAutocheckpointPages ?? 1000;
    const schema = parseSchema(options.schemaSql);
    this.#local = openDatabase(options.path, "FULL", pages);
    createEngineTables(this.#local);
    const generation = checkCluster(this.#local, options);
    this.cluster = { name: options.cluster.name, generation };
    const schemaChanged = readMeta(this.#local, "schema") !== schema.sql;
    migrate(this.#local, schema);
    this.schemaHash = schema.hash;
    this.origin = originId(options.node, adoptDbId(this.#local, options));
    this.#plain = openDatabase(options.path, "FULL", pages);
    this.#remote = openDatabase(options.path, "NORMAL", pages);

    const tables = schema.tables.map(tableOf);
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#origins = new Origins(this.#local);
    this.#digest = new Digest(this.#local);
    this.#clock = new HlcClock(this.#origins.highWater());
    this.#recent = new RecentChanges(limits.recentBytesMax);
    this.#remoteRows = rowsOf(this.#remote, tables);
    this.#log = new ChangeLog(this.#remote, this.#remoteRows);
    this.#quarantine = new Quarantine(this.#remote, this.#origins);
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
    const remote = { db: this.#remote, rows: this.#remoteRows, quarantine: this.#quarantine };
    this.#applier = new RemoteApplier({ ...shared, ...remote });
    this.#extractor = new Extractor(this.#log, this.#origins, this.#quarantine);
    if (schemaChanged) this.#retryAll();
  }

  /** Local writes, grouped: one durable transaction, one outcome each. Throws `store-failed` when none could be kept. */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    const outcomes = this.#writer.commit(writes, wallMs);
    for (const outcome of outcomes) if (outcome.ok && outcome.change !== undefined) this.#recent.add(outcome.change);
    return outcomes;
  }

  /** Joins changes of other origins. Returned means committed; nothing of it is held otherwise. */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[] = [], owed: Heads = new Map()): ApplyOutcome {
    const outcome = this.#applier.apply(changes, empties, owed);
    for (const change of changes) this.#recent.add(change);
    return outcome;
  }

  holdings(): Holdings {
    return this.#origins.holdings();
  }

  /** What is held of `wanted`, oldest first, about `bytesMax` of it. */
  extract(origin: OriginId, wanted: Ranges, bytesMax: number): Extract {
    return this.#extractor.extract(origin, wanted, bytesMax, (version) => this.#recent.get(origin, version));
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
    try {
      this.#remote.transaction(() => this.#log.sweep(entriesMax)).immediate();
    } catch (thrown) {
      throw transactionError(thrown);
    }
    return true;
  }

  /** The object of `table` with this key, by column name. Throws `table-unknown` and `bad-request`. */
  readObject(table: string, key: Readonly<Record<string, SqlValue>>): StoredObject | undefined {
    const rows = this.#remoteRows.get(table);
    if (rows === undefined) throw tableUnknown(table, [...this.#tables.keys()]);
    return readObject(rows, this.#origins, key);
  }

  /** By number, the digest of each of a table's buckets that has rows. Throws `table-unknown`. */
  bucketDigests(table: string): Record<number, string> {
    if (!this.#tables.has(table)) throw tableUnknown(table, [...this.#tables.keys()]);
    const sums = Array.from({ length: BUCKETS }, (_, i) => [i, this.#digest.bucket(table, i).toString("hex")] as const);
    return Object.fromEntries(sums.filter(([, sum]) => /[^0]/.test(sum)));
  }

  quarantinedCount(): number {
    return this.#quarantine.count;
  }

  /** A page of the changes that could not be applied, by origin and version. */
  quarantined(after: QuarantineCursor | undefined, limit: number): QuarantinedChange[] {
    return this.#quarantine.list(after, limit);
  }

  /**
   * Tries the next few quarantined changes again, in one transaction, and says where it stopped; `undefined` at the end.
   * Throws like `apply`.
   */
  retryQuarantined(after: QuarantineCursor | undefined): { outcome: ApplyOutcome; next: QuarantineCursor | undefined } {
    const changes = this.#quarantine.next(after, RETRY_CHANGES);
    return { outcome: this.#applier.retryQuarantined(changes), next: changes.at(-1) };
  }

  close(): void {
    this.#remote.close();
    this.#plain.close();
    this.#local.close();
  }

  #retryAll(): void {
    let at: QuarantineCursor | undefined;
    do at = this.retryQuarantined(at).next;
    while (at !== undefined);
  }

  #findTable(name: string): Table | undefined {
    const exact = this.#tables.get(name);
    if (exact !== undefined) return exact;
    const lower = name.toLowerCase();
    return [...this.#tables.values()].find((table) => table.name.toLowerCase() === lower);
  }
}

function openDatabase(path: string, synchronous: "FULL" | "NORMAL", walAutocheckpointPages: number): Database.Database {
  try {
    const db = new Database(path);
    db.pragma("journal_mode = WAL");
    db.pragma(`synchronous = ${synchronous}`);
    db.pragma(`wal_autocheckpoint = ${walAutocheckpointPages}`);
    db.pragma("temp_store = MEMORY");
    // Short: this thread also gossips. Only a checkpoint of the log, or a foreign process, ever makes it wait.
    db.pragma("busy_timeout = 250");
    return db;
  } catch (cause) {
    throw new AppError("store-failed", `cannot open the database ${path}`, {
      cause,
      hint: "Check that the directory exists, is writable and is not full.",
    });
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
