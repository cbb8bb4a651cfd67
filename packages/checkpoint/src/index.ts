/**
 * Checkpoints of a cluster in an object store: a base, deltas after it, and the generations that a restore opens.
 *
 *   object-store.ts   what is asked of a store; file/ s3/ memory/ are stores, sealing/ signs or encrypts one, doctor/ tries one
 *   manifest/         what there is: manifests, chains, generations, and where each lies
 *   schedule/         when one is due, and whose turn it is       taking/       putting one into the store
 *   restoring/        getting one back, and proving it            proof/        the record that one was restored
 *   retention/        which ones stay                             collection/   deleting what nobody needs, in two phases
 */
export { condemn } from "./collection/condemn.js";
export { whilePinned } from "./collection/pin.js";
export { type Prune, prune, type PruneReport } from "./collection/prune.js";
export { isAhead, newestAt } from "./manifest/ahead.js";
export { type CatalogEntry, listCheckpoints, readChain, readManifest } from "./manifest/catalog.js";
export type { Finding } from "./manifest/damage.js";
export type { Examination, Probe } from "./doctor/examination.js";
export { examineStore } from "./doctor/examine-store.js";
export { fetchContent } from "./restoring/fetch-content.js";
export { FileObjectStore } from "./file/file-object-store.js";
export { type GenerationRecord, latestGeneration, type OpenGeneration, openGeneration } from "./manifest/generation.js";
export { type Level, LEVELS, manifestKey, partsOfId, type Work } from "./manifest/keys.js";
export { type CheckpointLimits, DEFAULT_LIMITS } from "./limits.js";
export { type CheckpointFacts, type Manifest, manifestHoldings, parseManifest } from "./manifest/manifest.js";
export { MemoryObjectStore } from "./memory/memory-object-store.js";
export type { ObjectFacts, ObjectStore, StoredObject } from "./object-store.js";
export { openCheckpointStore, openObjectStore } from "./open-object-store.js";
export { type Proof, readProofs, recordProof } from "./proof/proof.js";
export { RETENTION_POLICIES, type RetentionName } from "./retention/policy.js";
export type { OnProgress, Progress } from "./progress.js";
export {
  chainBytes,
  completeRestore,
  DATABASE_FILE,
  type FetchedDelta,
  restoreDataDir,
  type RestoreDataDir,
  type Restored,
  setAside,
} from "./restoring/restore.js";
export { assertRoom } from "./restoring/room.js";
export { type Claim, claimPeriod } from "./schedule/claim.js";
export { DEFAULT_SCHEDULE, type Due, dueAt, type Newest, type ScheduleConfig } from "./schedule/due.js";
export { turnOf } from "./schedule/turn.js";
export { type KeyRing, newKeyRing, readKeyRing, withNewKey } from "./sealing/key-ring.js";
export { isRotated, retireOldKeys, rewrapStoreKey } from "./sealing/store-key.js";
export { type Chunk, type ReadChunks, unpackHere } from "./taking/chunking.js";
export { takeCheckpoint, type TakeCheckpoint } from "./taking/take.js";
export { verifyCheckpoint, type VerifyOptions, type VerifyReport } from "./restoring/verify.js";
