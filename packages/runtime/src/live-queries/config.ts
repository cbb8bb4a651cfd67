/** The limits of live queries: how many, how large, how far a client may fall behind, and how long anything may take. */
import { defaultLiveQueriesLimits, type LiveQueriesLimits } from "@patina/subscriptions";

export interface LiveQueriesConfig extends LiveQueriesLimits {
  /** One request to the thread. Beyond it the thread, with all its queries, is ended; a new one serves what comes next. */
  readonly deadlineMs: number;
  /** A query without clients is kept this long, for them to come back and continue. */
  readonly idleMs: number;
  /** Requests waiting for the thread beyond which opening and attaching are refused. */
  readonly requestsQueuedMax: number;
  readonly clientsMax: number;
  /** Change lines waiting for one client, beyond which it is told that it lags and let go. One batch always fits. */
  readonly clientLinesMax: number;
  readonly clientBytesMax: number;
  /** Changed keys of one table waiting for the thread, beyond which its queries are simply run again. */
  readonly keysPendingMax: number;
  /** Keys in one request: small, so that the deadline is about one slice of work and opening waits for no more. */
  readonly keysPerRequestMax: number;
  readonly rowsPerChunk: number;
}

export const defaultLiveQueriesConfig: LiveQueriesConfig = {
  ...defaultLiveQueriesLimits,
  deadlineMs: 10_000,
  idleMs: 600_000,
  requestsQueuedMax: 1024,
  clientsMax: 4096,
  clientLinesMax: 10_000,
  clientBytesMax: 4 * 1024 * 1024,
  keysPendingMax: 20_000,
  keysPerRequestMax: 200,
  rowsPerChunk: 500,
};
