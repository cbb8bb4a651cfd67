/** The drivers: what turns the pure agent into a process on a machine. */
export { isLoopback, listenError, parseAddress } from "./address.js";
export { type AgentListener, AgentRuntime, type AgentRuntimeOptions, type StepObserver } from "./agent-runtime.js";
export { systemNow } from "./clock.js";
export { DataDir, type Identity } from "./data-dir.js";
export { type Owner, writeDurably } from "./durable-write.js";
export { newBytes, newCounter, newDbId, newKey, newNodeId, newSeed } from "./entropy.js";
export { defaultLiveQueriesConfig, type LiveQueriesConfig } from "./live-queries/config.js";
export { LiveQueriesHost, type LiveStream, type LiveStreamOptions } from "./live-queries/host.js";
export { BlackBox } from "./membership/black-box.js";
export type { MembershipStatus } from "./membership/protocol.js";
export { defaultWatchdogConfig, type WatchdogConfig } from "./membership/watchdog.js";
export { Copier } from "./copies/copier.js";
export { Maintenance } from "./maintenance/maintenance.js";
export { defaultReaderPoolConfig, type QueryResult, ReaderPool, type ReaderPoolConfig } from "./readers/pool.js";
export { stepBack } from "./threads/step-back.js";
