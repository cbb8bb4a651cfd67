/** How long a request to an S3 server may take, how often it is tried, and how many there are at once. */

export interface S3Limits {
  /** Until a connection stands. */
  readonly connectMs: number;
  /** Without a byte either way: what ends a request to a server that hangs or a body that stalls. */
  readonly idleMs: number;
  /** For one operation with all its attempts and pauses; then it fails with `object-store-timeout`. */
  readonly operationMs: number;
  /** Of one request, the first included. Pauses between them grow from 0.1 s, from 0.5 s when throttled, to 20 s. */
  readonly attempts: number;
  /** Requests in flight. More wait their turn. */
  readonly concurrency: number;
  /** Operations that may wait for their turn; one more is refused with `too-many`. */
  readonly waiting: number;
  /** No object that a checkpoint has is larger: what claims to be is not read. */
  readonly objectBytes: number;
}

export const DEFAULT_S3_LIMITS: S3Limits = {
  connectMs: 3_000,
  idleMs: 15_000,
  operationMs: 120_000,
  attempts: 5,
  concurrency: 6,
  waiting: 10_000,
  objectBytes: 256 * 2 ** 20,
};
