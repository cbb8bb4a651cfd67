/** How a command ends: success, a "no", and a fault are told apart, so that scripts need not read text. */
import type { AppError, ErrorCode } from "@patina/base";

export const EXIT = {
  ok: 0,
  /** It could not be done, for a reason of its own. */
  failed: 1,
  usage: 2,
  /** A "no": what was asked for is not there. */
  absent: 3,
  unreachable: 4,
  conflict: 6,
  /** A "no": the check ran and found something wrong. */
  findings: 7,
  internal: 70,
  interrupted: 130,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  "bad-request": EXIT.usage,
  "not-owner": EXIT.conflict,
  "table-unknown": EXIT.absent,
  "row-absent": EXIT.absent,
  "app-absent": EXIT.absent,
  "region-unknown": EXIT.absent,
  "checkpoint-unknown": EXIT.absent,
  "member-unknown": EXIT.absent,
  "fleet-unknown": EXIT.absent,
  "app-unknown": EXIT.unreachable,
  "region-unreachable": EXIT.unreachable,
  "agent-unreachable": EXIT.unreachable,
  "not-ready": EXIT.unreachable,
  "switched-off": EXIT.unreachable,
  "region-foreign": EXIT.conflict,
  "region-replaced": EXIT.conflict,
  "request-late": EXIT.conflict,
  "clock-ahead": EXIT.conflict,
  "generation-ahead": EXIT.conflict,
  "generation-over": EXIT.conflict,
  "version-mismatch": EXIT.conflict,
  "checkpoint-conflict": EXIT.conflict,
  "schema-conflict": EXIT.conflict,
  "data-dir-in-use": EXIT.conflict,
  "data-dir-not-empty": EXIT.conflict,
  "port-in-use": EXIT.conflict,
  "checkpoint-damaged": EXIT.findings,
  "retention-refused": EXIT.findings,
  divergence: EXIT.findings,
  // An object store's faults have a status each: a script may wait out one and must wake somebody for another.
  "object-store-no-credentials": 20,
  "object-store-key-unknown": 21,
  "object-store-secret-wrong": 22,
  "object-store-credentials-expired": 23,
  "object-store-access-denied": 24,
  "object-store-bucket-absent": 25,
  "object-store-region": 26,
  "object-store-clock": 27,
  "object-store-not-s3": 28,
  "object-store-unreachable": 29,
  "object-store-throttled": 30,
  "object-store-timeout": 31,
  "object-store-truncated": 32,
  "object-store-corrupt": 33,
  "object-store-full": 34,
  "object-store-not-create-only": 35,
  "object-store-unsupported": 36,
  "sealing-key-missing": 37,
  "sealing-key-wrong": 38,
  "sealing-mismatch": 39,
  "checkpoint-forged": 40,
  internal: EXIT.internal,
};

export function exitStatusOf(error: AppError): number {
  return BY_CODE[error.code] ?? EXIT.failed;
}
