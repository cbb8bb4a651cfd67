/**
 * Replicated tables on better-sqlite3: one SQLite file that many members keep equal.
 *
 *   sqlite-store.ts   what a driver and an agent see; engine.ts puts the parts together for one schema
 *   schema/           what tables there are: compiled, planned, agreed on, migrated to, hidden, dropped
 *   rows/             a row, its clock and its bytes; and what waits beside the tables
 *   write/            the ways in from here: whole objects, captured SQL, hand-overs, one transaction for all
 *   apply/            the way in from peers: the join, the quarantine, the chain of an origin's versions
 *   owners/           whose a row is, and what a worker that no longer owns it still wrote
 *   log/              what is held of whom, which rows a version wrote, reading it back, forgetting it
 *   check/            digest, scrub, and repair from a peer's copy
 *   database/         the file: layout, connections, transactions, limits, images
 *   sql/              users' SQL as tokens, and which of it is let through
 *   proof/, testing/  the oracle, small scopes, crashes and faults
 */
export { type Bucket, type BucketRow, readBucket } from "./check/bucket.js";
export type { Repaired } from "./check/repair.js";
export { compareSample, type Sample } from "./check/sample.js";
export { adoptImage, type AdoptImage } from "./adopt-image.js";
export type { CheckpointNote, CheckpointNotes } from "./log/checkpoint-notes.js";
export { DEFAULT_DELTA_LIMITS, type Delta, type DeltaLimits, readDelta, takeDelta } from "./database/delta.js";
export { type ImageFacts, takeImage } from "./database/image.js";
export { moveDurably } from "./database/durable-move.js";
export { countBeyond, salvage, type SalvagedRow } from "./database/salvage.js";
export { generationIn } from "./database/identity.js";
export { Digest } from "./check/digest.js";
export type { Extract } from "./log/extract.js";
export { defaultStoreLimits, type StoreLimits } from "./database/limits.js";
export type { Members } from "./log/members.js";
export type { StoredObject } from "./write/object.js";
export type { QuarantineCursor, QuarantinedChange } from "./apply/quarantine.js";
export { decodeKey, encodeKey, rowHash } from "./rows/row-codec.js";
export { type Column, parseSchema, type Schema, type TableSchema } from "./schema/schema.js";
export { scrub, type ScrubFinding } from "./check/scrub.js";
export { assertReadStatement } from "./sql/read-statement.js";
export { isWord, nameOf, quoteName, type Token, tokenize } from "./sql/tokens.js";
export { SCHEMAS_TABLE_NAME, type SchemaVersion } from "./schema/schema-history.js";
export type { SchemaPlan } from "./schema/schema-plan.js";
export { SqliteStore, type StoreOptions } from "./sqlite-store.js";
export { isFatal, sqlError } from "./database/sqlite-error.js";
