/** Live queries: changed keys in, row diffs out. Synchronous; knows no clock, no thread and no socket. */
export { keyText, liveRowLine, type LiveRow } from "./live-rows.js";
export {
  defaultLiveQueriesLimits,
  LiveQueries,
  type LiveQueriesLimits,
  type LiveSnapshot,
  type QueryChanges,
} from "./live-queries.js";
export type { LiveParams } from "./live-parameters.js";
export type { TableKeys } from "./live-query.js";
