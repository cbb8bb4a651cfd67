/**
 * Everything that works on one schema: statements, capture, the ways in and out. A store makes a new one when its schema
 * changes, around the same holdings, digest, clock and recent changes.
 */
import type { HlcClock, OriginId } from "@patina/base";
import type Database from "better-sqlite3";
import { Capture } from "./write/capture.js";
import { CapturedWrites } from "./write/captured-writes.js";
import { ChangeLog } from "./log/change-log.js";
import type { ClosedOrigins } from "./log/closed-origins.js";
import type { Digest } from "./check/digest.js";
import { DroppedNames } from "./schema/dropped-names.js";
import { Dropper } from "./schema/dropper.js";
import { Extractor } from "./log/extract.js";
import { tablesOf } from "./schema/hidden.js";
import { HandoffWrites } from "./write/handoff-writes.js";
import type { Table } from "./database/layout.js";
import type { StoreLimits } from "./database/limits.js";
import { LocalWriter } from "./write/local-writer.js";
import { LogReader } from "./log/log-reader.js";
import { ObjectWrites } from "./write/object-writes.js";
import type { Origins } from "./log/origins.js";
import type { Owners } from "./owners/ownership.js";
import type { Quarantine } from "./apply/quarantine.js";
import { QuarantineSweep } from "./apply/quarantine-sweep.js";
import { RemoteApplier, type RowWatch } from "./apply/remote-applier.js";
import { rowsOf, type TableRows, type Waiting } from "./rows/rows.js";
import type { Schema } from "./schema/schema.js";
import type { GoneNames } from "./schema/schema-history.js";
import { SnapshotReader } from "./log/snapshot.js";
import { StatementCache } from "./write/statement-cache.js";
import { type SyncState, Transactions } from "./database/transactions.js";
import { forgetTemporary } from "./database/forget-temporary.js";

export interface EngineParts {
  /** The connection of users' SQL, with capture triggers. */
  readonly sql: Database.Database;
  /** The connection of everything else. */
  readonly plain: Database.Database;
  readonly waiting: Waiting;
  readonly origins: Origins;
  readonly closed: ClosedOrigins;
  readonly quarantine: Quarantine;
  readonly digest: Digest;
  readonly clock: HlcClock;
  readonly sync: SyncState;
  readonly self: OriginId;
  readonly owners: Owners;
  readonly limits: StoreLimits;
  readonly onRow: RowWatch;
}

export class Engine {
  readonly schema: Schema;
  readonly writer: LocalWriter;
  readonly applier: RemoteApplier;
  readonly extractor: Extractor;
  readonly snapshot: SnapshotReader;
  readonly log: ChangeLog;
  readonly dropper: Dropper;
  readonly quarantineSweep: QuarantineSweep;
  /** Of the connection for everything but users' SQL. */
  readonly transactions: Transactions;
  /** Of every table, hidden ones included, on that connection. */
  readonly rows: ReadonlyMap<string, TableRows>;
  readonly #tables: ReadonlyMap<string, Table>;

  constructor(schema: Schema, gone: GoneNames, parts: EngineParts) {
    const { sql, plain: db, waiting, origins, quarantine, digest, clock, sync, self, owners, limits, onRow } = parts;
    this.schema = schema;
    forgetTemporary(sql);
    forgetTemporary(db);
    const tables = tablesOf(db, schema);
    const visible = schema.tables.flatMap(({ name }) => tables.find((table) => table.name === name) ?? []);
    this.#tables = new Map(visible.map((table) => [table.name, table]));
    const mirrors = [origins, digest, quarantine];
    const captured = { transactions: new Transactions(sql, mirrors, sync), rows: rowsOf(sql, tables, waiting) };
    const plain = { transactions: new Transactions(db, mirrors, sync), rows: rowsOf(db, tables, waiting) };
    this.rows = plain.rows;
    const statements = new StatementCache(sql, (name) => this.findTable(name), limits);
    this.transactions = plain.transactions;
    const reader = new LogReader(db, plain.rows, waiting.aside, owners.marks);
    this.log = new ChangeLog(db, reader);
    const shared = { log: this.log, origins, digest, clock, owners, limits };
    this.writer = new LocalWriter({
      ...shared,
      captured,
      plain,
      objects: new ObjectWrites(clock, origins),
      handoffs: new HandoffWrites(owners),
      statements: new CapturedWrites(new Capture(sql, visible, limits.touchesMax), statements, origins, captured.rows),
      self,
    });
    this.dropper = new Dropper({ db, rows: plain.rows, aside: waiting.aside, digest, origins }, gone);
    const names = new DroppedNames(gone);
    const { aside } = waiting;
    const rowsMax = limits.transactionRowsMax;
    this.quarantineSweep = new QuarantineSweep({ db, rows: plain.rows, aside, dropped: names, origins, quarantine, rowsMax }); // prettier-ignore
    this.applier = new RemoteApplier({
      ...shared,
      ...plain,
      dropped: names,
      closed: parts.closed,
      onRow,
      db,
      aside,
      quarantine,
    });
    this.extractor = new Extractor(reader, origins, quarantine, parts.closed);
    const { rows } = plain;
    const { marks } = owners;
    this.snapshot = new SnapshotReader({
      db,
      rows,
      waiting,
      marks,
      origins,
      closed: parts.closed,
      schemaSql: schema.sql,
    });
  }

  /** Tables of the schema, by the names it gives them. */
  get tables(): ReadonlyMap<string, Table> {
    return this.#tables;
  }

  /** By name, as SQL takes names: in any case. */
  findTable(name: string): Table | undefined {
    const exact = this.#tables.get(name);
    if (exact !== undefined) return exact;
    const lower = name.toLowerCase();
    return [...this.#tables.values()].find((table) => table.name.toLowerCase() === lower);
  }
}
