/** What the HTTP API needs of the process around it. */
import type {
  DoubtfulRow,
  FencedWrite,
  NodeId,
  Ownership,
  RowWrite,
  SqlValue,
  Write,
  WriteOutcome,
} from "@patina/base";
import type { Member } from "@patina/membership";

export interface QueryRows {
  readonly columns: readonly string[];
  /** NDJSON row lines. */
  readonly batches: AsyncGenerator<string, void, void>;
}

export type Params = readonly SqlValue[] | Readonly<Record<string, SqlValue>>;

export interface AgentPort {
  readonly cluster: { readonly name: string; readonly generation: number };
  readonly nodeId: NodeId;
  readonly origin: string;
  write(write: Write): Promise<WriteOutcome>;
  /** One object by its key; undefined when there is none. Throws `table-unknown` and `bad-request`. */
  object(table: string, key: Readonly<Record<string, SqlValue>>): ObjectState | undefined;
  query(sql: string, params: Params, deadlineMs: number | undefined): Promise<QueryRows>;
  self(): Member;
  members(): readonly Member[];
  /** `bucketsOf` adds the buckets of one table. Throws `table-unknown`. */
  digest(bucketsOf?: string): DigestReport;
  /** The tables there are now, and the versions applied so far, the latest first. */
  schema(): { readonly hash: string; readonly sql: string; readonly history: readonly SchemaVersion[] };
  /** What another schema would change, and the write that applies it; none when it changes nothing. */
  planSchema(
    sql: string,
    ignored: readonly string[],
  ): { readonly plan: SchemaPlan; readonly version: number; readonly write: RowWrite | undefined };
  /** The write that erases what was hidden. Throws `bad-request` for what was not. */
  planDrop(names: readonly string[]): RowWrite;
  /** The write that gives a node up; none when it is not enlisted. */
  eviction(node: NodeId): RowWrite | undefined;
  readiness(): Readiness;
  /** Prometheus text. */
  metrics(): Promise<string>;
}

export interface ObjectState {
  readonly values: Readonly<Record<string, SqlValue>>;
  readonly tag: string | undefined;
}

export interface SchemaVersion {
  readonly version: number;
  readonly sql: string;
  readonly author: NodeId;
}

export interface SchemaPlan {
  readonly adds: readonly string[];
  readonly removes: readonly string[];
}

export interface DigestReport {
  readonly digest: string;
  readonly tables: Readonly<Record<string, string>>;
  readonly holdings: Readonly<Record<string, number>>;
  /** Versions known to be missing. */
  readonly gaps: number;
  readonly hlc: string;
  readonly quarantined: number;
  /** By bucket number, the sum of its rows; buckets without rows are left out. */
  readonly buckets?: Readonly<Record<number, string>>;
}

/** A change that could not be applied here. */
export interface QuarantinedEntry {
  readonly origin: string;
  readonly version: number;
  readonly hlc: bigint;
  readonly reason: string;
  readonly tables: readonly string[];
  readonly bytes: number;
}

/** What this agent knows to be wrong with its own copy, or can find out. */
export interface IntegrityPort {
  quarantined(
    after: { readonly origin: string; readonly version: number } | undefined,
    limit: number,
  ): readonly QuarantinedEntry[];
  /** Tries all of them again. Throws `store-busy` and `store-failed`. */
  retryQuarantined(): Promise<{ readonly applied: number; readonly remaining: number }>;
  /** Gives one of them up, for good; false when it is not there. Throws likewise. */
  discardQuarantined(change: { readonly origin: string; readonly version: number }): boolean;
  /** Recomputes every bucket from its rows. Throws `too-many` while it does so already. */
  scrub(): Promise<readonly ScrubFinding[]>;
  /** The rows of one bucket as they are here, for a peer that has to repair its own. */
  bucket(table: string, bucket: number): Promise<BucketDocument>;
  /** Puts a bucket right from a peer's copy of it. Throws `region-unreachable` when no peer can help. */
  repair(table: string, bucket: number): Promise<RepairReport>;
}

/** A bucket on the wire: bytes in base64, stamps in decimal. */
export interface BucketDocument {
  readonly rows: readonly {
    readonly key: string;
    readonly state: string;
    /** Null for a row that was never written through the engine. */
    readonly stamp: {
      readonly epoch: number;
      readonly hlc: string;
      readonly origin: string;
      readonly version: number;
    } | null;
    readonly is_sound: boolean;
  }[];
}

export interface RepairReport {
  /** Rows put back or removed. */
  readonly repaired: number;
  /** Rows that are wrong here, and that no peer could help with. */
  readonly unresolved: number;
  /** The peer whose copy it was. */
  readonly from: string;
  /** Do the bucket's rows now add up to its digest? */
  readonly sound: boolean;
}

/** A bucket whose rows do not add up to the digest kept beside them. */
export interface ScrubFinding {
  readonly table: string;
  readonly bucket: number;
  readonly expected: string;
  readonly found: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in words. */
  readonly reasons: readonly string[];
}

export interface LiveQuery {
  readonly id: string;
  readonly hash: string;
  /** NDJSON event lines, until the client goes or the query is ended. */
  readonly lines: AsyncGenerator<string, void, void>;
}

export interface LiveQueriesPort {
  /** Opens, or joins the one there is with the same text and parameters. */
  open(sql: string, params: Params, options: AttachOptions): Promise<LiveQuery>;
  /** Throws `subscription-unknown` when there is none, or its changes since `from` are gone. */
  attach(id: string, options: AttachOptions): Promise<LiveQuery>;
}

export interface AttachOptions {
  /** Continue after this change id instead of starting with the rows. */
  readonly from: number | undefined;
  /** Send no rows, only what changes from now on. */
  readonly skipRows: boolean;
}

export interface GenerationsPort {
  /**
   * The newest generation on record in the object store. When that is not the agent's own, its process ends, and begins
   * from that generation's checkpoint when it is started again.
   */
  check(): Promise<number>;
}

export interface CheckpointsPort {
  create(): Promise<unknown>;
  list(): Promise<unknown>;
  show(id: string): Promise<unknown>;
  verify(id: string, withData: boolean): Promise<{ readonly findings: readonly unknown[] }>;
  /** Restores it aside, compares it with what was taken and with this agent's rows, and records that in the store. */
  drill(id: string): Promise<unknown>;
  /** What the members know of the checkpoints without asking the store. */
  notes(): readonly { readonly level: string; readonly manifest: string; readonly atMs: number }[];
  /** By table, how many rows this agent has that the checkpoint does not have as they are. */
  beyond(id: string): Promise<Readonly<Record<string, number>>>;
}

/** Whose rows these are, of tables that name their owner's column. */
export interface OwnersPort {
  /** The worker that this agent writes for. */
  readonly worker: string;
  /** Whose a row is and since which epoch; undefined when it is not there. */
  ownership(table: string, key: readonly SqlValue[]): Ownership | undefined;
  /** Rows that two workers claim, and this agent's own writes that lost to another owner's; the oldest first. */
  conflicts(): { readonly doubtful: readonly DoubtfulRow[]; readonly fenced: readonly FencedWrite[] };
}
