/** What the HTTP API needs of the process around it. */
import type { NodeId, RowWrite, SqlValue, Write, WriteOutcome } from "@patina/base";
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
  query(sql: string, params: Params, deadlineMs: number | undefined): Promise<QueryRows>;
  self(): Member;
  members(): readonly Member[];
  digest(): DigestReport;
  /** The tables there are now, and the versions applied so far, the latest first. */
  schema(): { readonly hash: string; readonly sql: string; readonly history: readonly SchemaVersion[] };
  /** What another schema would change, and the write that applies it; none when it changes nothing. */
  planSchema(
    sql: string,
    ignored: readonly string[],
  ): { readonly plan: SchemaPlan; readonly version: number; readonly write: RowWrite | undefined };
  readiness(): Readiness;
  /** Prometheus text. */
  metrics(): Promise<string>;
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

export interface CheckpointsPort {
  create(): Promise<unknown>;
  list(): Promise<unknown>;
  show(id: string): Promise<unknown>;
  verify(id: string, withData: boolean): Promise<{ readonly findings: readonly unknown[] }>;
}
