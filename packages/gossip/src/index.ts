/** Replication decisions: what to push, what to ask for, what to hold back. Pure: no socket, no clock, no store. */
export { AntiEntropy } from "./anti-entropy.js";
export { Broadcast, type BroadcastStep, packChanges } from "./broadcast.js";
export { Budget } from "./budget.js";
export { defaultGossipConfig, type GossipConfig, testGossipConfig } from "./config.js";
export {
  decodeFrame,
  encodeFrame,
  type Frame,
  frameKind,
  isSameCursor,
  NO_CURSOR,
  NOT_COMPARABLE,
  type OriginRanges,
  type SnapshotPiece,
  type UnknownFrame,
} from "./frame.js";
export type { Interval } from "./groups.js";
export { HeadsTold } from "./heads.js";
export { Inbox, type Served } from "./inbox.js";
export { canHelp, needFrom } from "./need.js";
export type { Arrival } from "./parked.js";
export { describeProtocol, haveCommonVersion, PROTOCOL, type ProtocolRange } from "./protocol-range.js";
export { Relayed } from "./relayed.js";
export { Stability } from "./stability.js";
export { type Relay, Topology } from "./topology.js";
