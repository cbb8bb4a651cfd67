/** What the live queries' thread is asked and what it answers: one request at a time, one reply each. */
import type { ErrorCode } from "@patina/base";
import type { LiveParams, LiveQueriesLimits, TableKeys } from "@patina/subscriptions";

export interface LiveThreadData {
  readonly path: string;
  readonly limits: LiveQueriesLimits;
  /** Rows in one `rows` reply. */
  readonly rowsPerChunk: number;
}

/** Where a client starts. `from` is the last change it saw; without it, it starts with the rows. */
export interface LiveStart {
  readonly from: number | undefined;
  readonly skipRows: boolean;
  /** Names the rows still to be fetched by this client. */
  readonly cursor: number;
}

export type LiveRequest =
  | { readonly kind: "open"; readonly sql: string; readonly params: LiveParams; readonly start: LiveStart }
  | { readonly kind: "attach"; readonly id: string; readonly start: LiveStart }
  /** The next rows of a client; `isWanted` false forgets them. */
  | { readonly kind: "rows"; readonly cursor: number; readonly isWanted: boolean }
  | { readonly kind: "changes"; readonly changes: readonly TableKeys[] }
  | { readonly kind: "rescan"; readonly id: string }
  | { readonly kind: "close"; readonly id: string };

export interface LiveFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

/** Change lines of one query. */
export interface LiveChanges {
  readonly id: string;
  /** NDJSON. */
  readonly lines: string;
  readonly count: number;
  /** Why the query ended with these lines, if it did. */
  readonly ended: LiveFailure | undefined;
}

export type LiveReply =
  | { readonly kind: "ready" }
  | {
      readonly kind: "attached";
      readonly id: string;
      readonly hash: string;
      readonly table: string;
      /** NDJSON to send first. */
      readonly lines: string;
      /** Rows follow, to be asked for; their last chunk ends with the `eoq` line. */
      readonly hasRows: boolean;
    }
  | { readonly kind: "rows"; readonly lines: string; readonly isLast: boolean }
  | { readonly kind: "changed"; readonly queries: readonly LiveChanges[] }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly failure: LiveFailure };
