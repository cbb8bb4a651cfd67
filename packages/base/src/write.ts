/** What goes into a store and what comes out of it: the words shared by the agent, which decides, and the store. */
import type { AppError } from "./app-error.js";
import type { Change } from "./change.js";
import type { Hlc } from "./hlc.js";
import type { OriginId } from "./ids.js";
import type { Handoff, OwnershipConflict } from "./ownership.js";
import type { Ranges } from "./ranges.js";
import type { SqlValue } from "./value.js";

export interface Statement {
  readonly sql: string;
  /** Positional, or by name without the prefix. */
  readonly params: readonly SqlValue[] | Readonly<Record<string, SqlValue>>;
}

/**
 * What must be true of a row, as this node holds it, for a write of it to happen. A version tag names one state of one
 * row and is opaque to whoever carries it.
 */
export type RowCondition =
  { readonly kind: "exists" } | { readonly kind: "absent" } | { readonly kind: "at"; readonly tags: readonly string[] };

/** One whole object. Columns left out take their default. */
export interface RowWrite {
  readonly table: string;
  readonly values: Readonly<Record<string, SqlValue>>;
  readonly deleted?: boolean;
  /** Judged inside the transaction; when it does not hold, the transaction is refused with `version-mismatch`. */
  readonly condition?: RowCondition;
  /**
   * Orders the row by something else than this node's clock: a summary row carries its region's generation and
   * high-water, so that an older summary never overwrites a newer one, whichever node takes it.
   */
  readonly stamp?: { readonly epoch: number; readonly hlc: Hlc };
}

/** One transaction: it happens as a whole or not at all, and becomes at most one version. */
export type Write =
  | { readonly kind: "statements"; readonly statements: readonly Statement[] }
  | { readonly kind: "rows"; readonly rows: readonly RowWrite[] }
  /** Rows that change hands, each of which must be there. */
  | { readonly kind: "handoffs"; readonly handoffs: readonly Handoff[] };

export interface ChangedRow {
  readonly table: string;
  readonly key: readonly SqlValue[];
  readonly kind: "upsert" | "delete";
  /** The app the row belonged to before and belongs to now, for tables that name one. */
  readonly appBefore: string | undefined;
  readonly app: string | undefined;
}

export type WriteOutcome =
  | {
      readonly ok: true;
      /** Per statement. */
      readonly rowsAffected: readonly number[];
      /** Undefined when nothing changed: then there is no version, and nothing to tell anybody. */
      readonly change: Change | undefined;
      readonly rows: readonly ChangedRow[];
      /** After a write of one object: the version tag it has now. Absent when the object is not there, or there were more. */
      readonly tag?: string;
    }
  | { readonly ok: false; readonly error: AppError };

/** Versions of an origin with nothing left to say: all they wrote was written again later. */
export interface EmptyVersions {
  readonly origin: OriginId;
  readonly versions: Ranges;
}

export interface ApplyOutcome {
  /** Changes that were new, quarantined ones included. */
  readonly applied: number;
  readonly quarantined: readonly { readonly change: Change; readonly reason: string }[];
  /** Changes that do not follow what was applied of their origin before: two histories go by its name. */
  readonly forked: readonly Change[];
  readonly rows: readonly ChangedRow[];
  /** What was found about whose rows these are. */
  readonly conflicts: readonly OwnershipConflict[];
}
