/** What every other package may assume exists: identities, clocks, order, bytes and chance. No I/O of any kind. */
export { AppError, type AppErrorOptions, asAppError, type ErrorCode, messageOf } from "./app-error.js";
export { assert, must, unreachable } from "./assert.js";
export { ByteReader, ByteWriter, MalformedError } from "./bytes.js";
export { type Change, changeBytes, HLC_MAX, readChange, readHlc, VERSION_MAX, writeChange } from "./change.js";
export { hash32, rendezvous } from "./hash.js";
export { type Hlc, HlcClock, hlcFromMs, hlcToMs } from "./hlc.js";
export {
  heldVersions,
  holdAlso,
  holdingsWithin,
  type Heads,
  type Holding,
  type Holdings,
  holdingsHash,
  holds,
  holdsUpTo,
  NO_HOLDING,
  parseHoldings,
  readHeads,
  readHoldings,
  readRanges,
  writeHeads,
  writeHoldings,
  writeRanges,
} from "./holding.js";
export {
  type ClusterId,
  clusterTag,
  type DbId,
  isNodeId,
  type NodeId,
  NODE_ID_LENGTH,
  originId,
  originNode,
  type OriginId,
  ORIGIN_ID_LENGTH,
  sameCluster,
} from "./ids.js";
export type { Now } from "./now.js";
export type { Cut, DoubtfulRow, FencedWrite, Handoff, Ownership, OwnershipConflict } from "./ownership.js";
export { type Range, Ranges } from "./ranges.js";
export { Rng } from "./rng.js";
export { compareStamps, type Stamp } from "./stamp.js";
export { readValue, type SqlValue, valueToJson, writeValue } from "./value.js";
export type {
  ApplyOutcome,
  ChangedRow,
  EmptyVersions,
  RowCondition,
  RowWrite,
  Statement,
  Write,
  WriteOutcome,
} from "./write.js";
