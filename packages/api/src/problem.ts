/** Errors on the wire: RFC 9457 problem details with Patina's stable code, and one table from code to HTTP status. */
import { AppError, asAppError, type ErrorCode } from "@patina/base";

const STATUS: Record<ErrorCode, number> = {
  "bad-request": 400,
  "body-too-large": 413,
  "sql-error": 400,
  "sql-not-allowed": 403,
  "sql-deadline": 408,
  "transaction-too-large": 413,
  "row-too-large": 413,
  "version-mismatch": 412,
  "subscription-unsupported": 400,
  "subscription-unknown": 404,
  "too-many": 429,
  "not-owner": 409,
  "load-cut-off": 408,
  "credential-refused": 401,
  "region-foreign": 403,
  "region-replaced": 409,
  "request-late": 409,
  "clock-ahead": 409,
  "generation-ahead": 409,
  "switched-off": 503,
  "table-unknown": 404,
  "row-absent": 404,
  "app-absent": 404,
  "app-unknown": 503,
  "region-unknown": 404,
  "region-unreachable": 502,
  "checkpoint-unknown": 404,
  "agent-unreachable": 502,
  "fleet-unknown": 404,
  "config-invalid": 500,
  "schema-invalid": 400,
  "schema-conflict": 409,
  "member-evicted": 500,
  "member-outlived": 500,
  "generation-over": 409,
  "member-unknown": 404,
  "schema-destructive": 409,
  "port-in-use": 500,
  "data-dir-foreign": 500,
  "data-dir-in-use": 500,
  "data-dir-not-empty": 409,
  "not-ready": 503,
  "disk-full": 507,
  "checkpoint-damaged": 422,
  "checkpoint-conflict": 409,
  "checkpoint-forged": 422,
  "retention-refused": 409,
  "sealing-mismatch": 500,
  "sealing-key-wrong": 500,
  "sealing-key-missing": 500,
  "object-store": 502,
  "object-store-no-credentials": 502,
  "object-store-key-unknown": 502,
  "object-store-secret-wrong": 502,
  "object-store-credentials-expired": 502,
  "object-store-access-denied": 502,
  "object-store-bucket-absent": 502,
  "object-store-region": 502,
  "object-store-clock": 502,
  "object-store-not-s3": 502,
  "object-store-unreachable": 502,
  "object-store-throttled": 503,
  "object-store-timeout": 504,
  "object-store-truncated": 502,
  "object-store-corrupt": 502,
  "object-store-full": 507,
  "object-store-not-create-only": 502,
  "object-store-unsupported": 502,
  "store-failed": 500,
  "store-busy": 503,
  divergence: 500,
  internal: 500,
};

const PROBLEM_TYPE = "application/problem+json";

const TYPE_PREFIX = "urn:patina:error:";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly [extension: string]: unknown;
}

export function problemOf(thrown: unknown): Problem {
  const error = asAppError(thrown);
  return {
    ...error.details,
    type: TYPE_PREFIX + error.code,
    title: error.code.replaceAll("-", " "),
    status: STATUS[error.code],
    detail: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}

export function problemResponse(thrown: unknown, extensions: Readonly<Record<string, unknown>> = {}): Response {
  const problem = { ...problemOf(thrown), ...extensions };
  return new Response(JSON.stringify(problem), { status: problem.status, headers: { "content-type": PROBLEM_TYPE } });
}

/** The error a problem document stands for, on the caller's side. */
export function errorOf(problem: unknown, fallback: string): AppError {
  const {
    type: _type,
    title: _title,
    status: _status,
    code,
    detail,
    hint,
    ...more
  } = (problem ?? {}) as Partial<Problem>;
  const known = code !== undefined && code in STATUS ? code : "internal";
  const details = Object.fromEntries(
    Object.entries(more).filter((it): it is [string, string | number] => /^(string|number)$/.test(typeof it[1])),
  );
  return new AppError(known, detail ?? fallback, { details, ...(hint === undefined ? {} : { hint }) });
}
