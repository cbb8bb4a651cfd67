/** Replication decisions: what to push, what to ask for, what to hold back. Pure: no socket, no clock, no store. */
export { AntiEntropy } from "./anti-entropy.js";
export { Broadcast, type BroadcastStep, packChanges } from "./broadcast.js";
export { defaultGossipConfig, type GossipConfig, testGossipConfig } from "./config.js";
export { decodeFrame, encodeFrame, type Frame, frameKind, NOT_COMPARABLE, type OriginRanges, PROTOCOL_VERSION } from "./frame.js"; // prettier-ignore
export { type Arrival, Inbox } from "./inbox.js";
export { canHelp, needFrom } from "./need.js";
export { Stability } from "./stability.js";
