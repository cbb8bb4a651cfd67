/**
 * The store: a cluster's tables in one SQLite file, with everything that makes them replicate. It is synchronous, and
 * what it returns is committed. Time comes in as an argument and identity at construction.
 *
 * Two connections, never used at once: `sql` runs users' SQL under capture triggers, `plain` writes whole objects and joins
 * peers' changes without. Local writes sync the log, so that an acknowledged write survives power loss; what power loss
 * takes of peers' changes, anti-entropy brings back: their holdings are lost in the same transaction.
 */
import {
  type ApplyOutcome,
  type Change,
  type ChangedRow,
  type ClusterId,
  type DbId,
  type EmptyVersions,
  type Heads,
  type Hlc,
  HlcClock,
  holds,
  type Holdings,
  type NodeId,
  type OriginId,
  originId,
  originNode,
  type Ownership,
  type Ranges,
  type SqlValue,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type Database from "better-sqlite3";
import { Apps } from "./rows/apps.js";
import { Aside } from "./rows/aside.js";
import { ClosedOrigins } from "./log/closed-origins.js";
import { CheckpointNotes } from "./log/checkpoint-notes.js";
import { Collector } from "./log/collector.js";
import { Debts } from "./log/debts.js";
import { Digest } from "./check/digest.js";
import { Engine, type EngineParts } from "./engine.js";
import type { Extract } from "./log/extract.js";
import { Extras } from "./rows/extras.js";
import { adoptDbId, checkCluster } from "./database/identity.js";
import { OWN_TABLES } from "./database/image.js";
import { countSync, createEngineTables, readMeta } from "./database/layout.js";
import { defaultStoreLimits, type StoreLimits } from "./database/limits.js";
import { Members, MEMBERS_TABLE } from "./log/members.js";
import { Adoption } from "./schema/adoption.js";
import { readObject, type StoredObject, tableNamed, tableUnknown } from "./write/object.js";
import { cannotOpen, openBoth } from "./database/open-database.js";
import { Origins } from "./log/origins.js";
import { Owners, ownershipIn } from "./owners/ownership.js";
import { Quarantine, type QuarantineCursor, type QuarantinedChange } from "./apply/quarantine.js";
import { RecentChanges } from "./log/recent.js";
import type { RowWatch } from "./apply/remote-applier.js";
import { Repairs } from "./check/repair.js";
import { parseSchema, type Schema } from "./schema/schema.js";
import { goneNames, schemaHistory, SCHEMAS_TABLE } from "./schema/schema-history.js";
import { Schemas } from "./schema/schemas.js";
import type { SnapshotPiece } from "./log/snapshot.js";
import { quoteName } from "./sql/tokens.js";
import { WriteGuard } from "./database/write-guard.js";

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
  /** Told of each remote row before it is joined: if that never ends, somebody knows which row it was. */
  readonly onRow?: RowWatch;
}

/** Quarantined changes tried again in one go, of up to a transaction's size each. */
const RETRY_CHANGES = 4;

export class SqliteStore {
  readonly origin: OriginId;
  readonly cluster: ClusterId;
  readonly #sql: Database.Database;
  readonly #plain: Database.Database;
  readonly #parts: EngineParts;
  readonly #guard: WriteGuard;
  readonly #recent: RecentChanges;
  readonly #members: Members;
  readonly #collector: Collector;
  /** Whose rows these are, and what was found about it. */
  readonly owners: Owners;
  /** The schema there is, and the writes that change it. */
  readonly schemas: Schemas;
  /** What is owed of origins that have ended. */
  readonly debts: Debts;
  /** Putting right what is wrong in this copy. */
  readonly repairs: Repairs;
  /** Rows that belong to apps. */
  readonly apps: Apps;
  /** What is known of the cluster's checkpoints, and the writes that say so. */
  readonly checkpoints: CheckpointNotes;
  readonly #reads = new Map<string, Database.Statement>();
  readonly #adoption: Adoption;
  #engine: Engine;

  /**
   * Opens or creates the file. Throws `data-dir-foreign` for a file of another cluster, `schema-invalid` or
   * `schema-destructive` for a schema it cannot take, and `store-failed` when SQLite cannot open it.
   */
  constructor(options: StoreOptions) {
    const limits = options.limits ?? defaultStoreLimits;
    const pages = options.walAutocheckpointPages ?? 1000;
    const shipped = parseSchema(options.schemaSql);
    const [sql, plain] = openBoth(options.path, limits, pages);
    this.#sql = sql;
    this.#plain = plain;
    this.#guard = new WriteGuard(options.path, limits.walBytesMax);
    this.#recent = new RecentChanges(limits.recentBytesMax);
    try {
      createEngineTables(sql);
      this.cluster = { name: options.cluster.name, generation: checkCluster(sql, options.cluster, options.path) };
      const waiting = { extras: new Extras(sql), aside: new Aside(sql) };
      const before = readMeta(sql, "schema");
      this.#adoption = new Adoption(sql, waiting);
      const schema = this.#adoption.open(shipped);
      const db = adoptDbId(sql, options.node, options.newDbId);
      this.origin = originId(options.node, db);
      this.#members = new Members(plain, { node: options.node, db });
      this.checkpoints = new CheckpointNotes(plain);
      this.#collector = new Collector(plain);
      const sync = { isDurable: false };
      const origins = new Origins(sql);
      const closed = new ClosedOrigins(sql, origins);
      const clock = new HlcClock(origins.highWater());
      clock.observe(closed.floor);
      const quarantine = new Quarantine(plain, origins);
      const digest = new Digest(sql);
      const { worker = options.node, onRow = () => undefined } = options;
      this.owners = new Owners(plain, { node: options.node, worker }, origins, limits.contestsMax);
      const shared = { waiting, origins, closed, quarantine, digest, clock, sync, owners: this.owners, limits, onRow };
      this.#parts = { sql, plain, ...shared, self: this.origin };
      this.#engine = new Engine(schema, goneNames(sql), this.#parts);
      const holder = { adoption: this.#adoption, current: () => this.#engine.schema, onTried: () => this.#rebuild(this.#engine.schema) }; // prettier-ignore
      this.schemas = new Schemas(plain, originNode(this.origin), holder);
      this.apps = new Apps({ tables: () => this.#engine.tables, read: (text, params) => this.read(text, params) });
      this.repairs = new Repairs(this.#parts, this.#guard, () => this.#engine);
      this.debts = new Debts(this.#parts, this.#members, this.#guard, () => this.#engine);
      if (before !== schema.sql) this.#retryAll();
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
    for (const outcome of outcomes) {
      if (!outcome.ok || outcome.change === undefined) continue;
      this.#recent.add(outcome.change);
      this.#onSystemRows(outcome.rows);
    }
    return outcomes;
  }

  /** Joins changes of other origins. Returned means committed; nothing of it is held otherwise. Throws like `commit`. */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[] = [], owed: Heads = new Map()): ApplyOutcome {
    const { origins } = this.#parts;
    const fresh = changes.filter(({ origin, version }) => !holds(origins.holding(origin), version));
    const outcome = this.#guard.write(() => this.#engine.applier.apply(changes, empties, owed));
    this.#recent.addApplied(fresh, outcome);
    return this.#followed(outcome, owed);
  }

  /** Joins a piece of a peer's snapshot; nothing of it counts as held. Throws like `commit`. */
  join(changes: readonly Change[], owed: Heads): ApplyOutcome {
    return this.#followed(
      this.#guard.write(() => this.#engine.applier.join(changes, owed)),
      owed,
    );
  }

  /** A piece of all rows, from `after` on, about `bytesMax` of it. Throws `store-failed`. */
  snapshot(after: Uint8Array | undefined, bytesMax: number): SnapshotPiece {
    return this.#guard.read(() => this.#engine.snapshot.piece(after, bytesMax));
  }

  /** Makes all that is held survive a loss of power. Call it before telling others what is held. Throws like `commit`. */
  makeDurable(): void {
    const { sync, plain } = this.#parts;
    if (sync.isDurable) return;
    this.#guard.write(() => this.#engine.transactions.run("FULL", () => countSync(plain)));
  }

  /** Would all that is held survive a loss of power? */
  get isDurable(): boolean {
    return this.#parts.sync.isDurable;
  }

  /** Who enlisted and was not evicted, and the writes that do so. */
  get members(): Members {
    return this.#members;
  }

  /** Every member holds these versions, and all that could lose to them: tombstones stamped before may be forgotten. */
  noteStable(heads: Heads, before: Hlc): void {
    this.#collector.begin(this.#parts.origins.byIndex(heads), before);
  }

  holdings(): Holdings {
    return this.#parts.origins.holdings();
  }

  /** What is held of `wanted`, oldest first, about `bytesMax` of it. Throws `store-failed` when it cannot be read. */
  extract(origin: OriginId, wanted: Ranges, bytesMax: number): Extract {
    const recent = (version: number): Change | undefined => this.#recent.get(origin, version);
    return this.#guard.read(() => this.#engine.extractor.extract(origin, wanted, bytesMax, recent));
  }

  /** The digest of the cluster's data, 64 hex digits. Who its members are, and what checkpoints there are, is no part of it: a restore changes that. */
  digest(): string {
    return this.#parts.digest.total(OWN_TABLES).toString("hex");
  }

  /**
   * The digest of everything: equal holdings must mean equal ones. None while something is owed, in quarantine or being
   * erased, since this state may differ from a peer's then.
   */
  comparableDigest(): string | undefined {
    return this.isWhole && this.quarantinedCount() === 0 && !this.#engine.dropper.isDue
      ? this.#parts.digest.total().toString("hex")
      : undefined;
  }

  /** Is everything held that the rows depend on? If not, a row may be missing that was never deleted. */
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
    if (this.#adoption.problem?.code === "store-busy") this.#adoptSchema();
    const { dropper, quarantineSweep, log, transactions } = this.#engine;
    const sweeper = [dropper, this.#collector].find(({ isDue }) => isDue) ?? (log.needsSweep ? log : undefined);
    // Beside the others: under a flood of writes it is always due, and so are they.
    const sweepers = [sweeper, quarantineSweep.isDue ? quarantineSweep : undefined].filter((it) => it !== undefined);
    if (sweepers.length === 0) return false;
    this.#guard.write(() => transactions.run("NORMAL", () => sweepers.forEach((it) => it.sweep(keysMax))));
    if (sweeper === dropper && !dropper.isDue) this.#rebuild(this.#engine.schema); // A table may be gone for good.
    return true;
  }

  /** Follows what the engine's own replicated tables say. Rows that this made visible are returned. */
  #onSystemRows(rows: readonly ChangedRow[]): readonly ChangedRow[] {
    if (rows.some(({ table }) => table === MEMBERS_TABLE.name)) this.debts.onMembersChanged();
    return rows.some(({ table }) => table === SCHEMAS_TABLE.name) ? this.#adoptSchema() : [];
  }

  /**
   * Makes the latest version's tables this member's. What they made visible is returned like rows just written. The version is
   * held, whether it can be had here or not: its write must not fail for that.
   */
  #adoptSchema(): readonly ChangedRow[] {
    const [latest] = schemaHistory(this.#plain);
    if (latest === undefined) return [];
    this.#rebuild(this.#guard.read(() => this.#adoption.adopt(latest.sql, this.#engine.schema)));
    return this.#adoption.problem === undefined ? this.#retryAll() : [];
  }

  #rebuild(schema: Schema): void {
    this.#reads.clear();
    this.#engine = new Engine(schema, goneNames(this.#plain), this.#parts);
  }

  #retryAll(): ChangedRow[] {
    const rows: ChangedRow[] = [];
    let at: QuarantineCursor | undefined;
    if (this.quarantinedCount() === 0) return rows;
    do {
      const changes = this.#parts.quarantine.next(at, RETRY_CHANGES);
      const outcome = this.#guard.write(() => this.#engine.applier.retryQuarantined(changes));
      rows.push(...outcome.rows);
      this.owners.untold.push(...outcome.conflicts);
      at = changes.at(-1);
    } while (at !== undefined);
    return rows;
  }

  /** The object of `table` with this key, by column name. Throws `table-unknown` and `bad-request`. */
  readObject(table: string, key: Readonly<Record<string, SqlValue>>): StoredObject | undefined {
    return readObject(tableNamed(table, this.#engine.rows), this.#parts.origins, key);
  }

  /** By number, the digest of each of a table's buckets that has rows. Throws `table-unknown`. */
  bucketDigests(table: string): Record<number, string> {
    const { digest } = this.#parts;
    const isThere = this.#engine.rows.has(table) || digest.tables().some(([name]) => name === table);
    if (!isThere) throw tableUnknown(table, this.#engine.rows);
    return digest.bucketsWithRows(table);
  }

  /** Whose an owned row is, and since which epoch; undefined when it is not there. */
  ownership(table: string, key: readonly SqlValue[]): Ownership | undefined {
    return ownershipIn(this.#engine.rows.get(table), key);
  }

  /** Versions of an origin that are held and could not be applied. */
  quarantinedIn(origin: OriginId): Ranges {
    return this.#parts.quarantine.versions(origin);
  }

  quarantinedCount(): number {
    return this.#parts.quarantine.count;
  }

  /** A page of the changes that could not be applied, by origin and version. */
  quarantined(after: QuarantineCursor | undefined, limit: number): QuarantinedChange[] {
    return this.#parts.quarantine.list(after, limit);
  }

  /**
   * Tries the next few quarantined changes again, in one transaction, and says where it stopped; `undefined` at the end.
   * Throws like `apply`.
   */
  retryQuarantined(after: QuarantineCursor | undefined): { outcome: ApplyOutcome; next: QuarantineCursor | undefined } {
    const changes = this.#parts.quarantine.next(after, RETRY_CHANGES);
    const outcome = this.#guard.write(() => this.#engine.applier.retryQuarantined(changes));
    return { outcome: this.#followed(outcome), next: changes.at(-1) };
  }

  /**
   * Gives a quarantined change up, for good: from here on this member holds a version that says nothing. Whoever did apply it has
   * other rows now, and comparing digests tells. False when it is not in quarantine. Throws like `apply`.
   */
  discardQuarantined(change: QuarantineCursor): boolean {
    const { quarantine } = this.#parts;
    return this.#guard.write(() => this.#engine.transactions.run("FULL", () => quarantine.discard(change)));
  }

  /** The outcome of what was applied, with the rows that a schema among it made visible. */
  #followed(outcome: ApplyOutcome, owed: Heads = new Map()): ApplyOutcome {
    if (owed.size > 0) this.debts.condemn();
    const shown = this.#onSystemRows(outcome.rows);
    const conflicts = [...outcome.conflicts, ...this.owners.untold.splice(0)];
    return { ...outcome, rows: shown.length === 0 ? outcome.rows : [...outcome.rows, ...shown], conflicts };
  }

  close(): void {
    this.#plain.close();
    this.#sql.close();
  }
}
