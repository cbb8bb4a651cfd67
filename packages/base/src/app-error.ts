/**
 * The one error a caller of Patina ever sees: a stable code, what was wrong, and what to do about it.
 *
 * Codes are an interface: programs match on them, so a code never changes its meaning. `api` maps each to an HTTP
 * status and the CLI maps each to an exit status.
 */

export type ErrorCode =
  // what the caller sent
  | "bad-request"
  | "body-too-large"
  | "sql-error"
  | "sql-not-allowed"
  | "sql-deadline"
  | "transaction-too-large"
  | "row-too-large"
  | "version-mismatch"
  | "subscription-unsupported"
  | "subscription-unknown"
  | "too-many"
  | "not-owner"
  | "load-cut-off"
  // who sent it, or when they say it is
  | "credential-refused"
  | "region-foreign"
  | "region-replaced"
  | "request-late"
  | "clock-ahead"
  | "generation-ahead"
  | "switched-off"
  // what the caller asked for is not there
  | "table-unknown"
  | "row-absent"
  | "app-absent"
  | "app-unknown"
  | "region-unknown"
  | "region-unreachable"
  | "checkpoint-unknown"
  | "agent-unreachable"
  | "fleet-unknown"
  // how a process was started
  | "config-invalid"
  | "schema-invalid"
  | "schema-destructive"
  | "schema-conflict"
  | "port-in-use"
  | "data-dir-foreign"
  | "data-dir-in-use"
  | "data-dir-not-empty"
  | "member-evicted"
  | "member-outlived"
  | "generation-over"
  | "member-unknown"
  | "not-ready"
  | "disk-full"
  // what was found damaged
  | "checkpoint-damaged"
  | "checkpoint-conflict"
  | "checkpoint-forged"
  | "retention-refused"
  | "sealing-mismatch"
  | "sealing-key-wrong"
  | "sealing-key-missing"
  | "object-store"
  | "object-store-no-credentials"
  | "object-store-key-unknown"
  | "object-store-secret-wrong"
  | "object-store-credentials-expired"
  | "object-store-access-denied"
  | "object-store-bucket-absent"
  | "object-store-region"
  | "object-store-clock"
  | "object-store-not-s3"
  | "object-store-unreachable"
  | "object-store-throttled"
  | "object-store-timeout"
  | "object-store-truncated"
  | "object-store-corrupt"
  | "object-store-full"
  | "object-store-not-create-only"
  | "object-store-unsupported"
  | "store-failed"
  | "store-busy"
  | "divergence"
  | "internal";

export interface AppErrorOptions {
  /** What the reader can do now, as an imperative sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Machine-readable details, e.g. the file, line and key of a bad config. */
  readonly details?: Readonly<Record<string, string | number | readonly string[]>>;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, string | number | readonly string[]>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** What went wrong, in words, of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The thrown value as an `AppError`; anything foreign becomes `code` with the original kept as its cause. */
export function asAppError(thrown: unknown, code: ErrorCode = "internal"): AppError {
  return thrown instanceof AppError ? thrown : new AppError(code, messageOf(thrown), { cause: thrown });
}
