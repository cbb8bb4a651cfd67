/** Replicated tables on better-sqlite3: commit, apply, extract, digest, image. */
export { type Bucket, type BucketRow, readBucket } from "./bucket.js";
export type { Repaired } from "./repair.js";
export { adoptImage, type ImageFacts, takeImage } from "./image.js";
export { Digest } from "./digest.js";
export type { Extract } from "./extract.js";
export { defaultStoreLimits, type StoreLimits } from "./limits.js";
export type { Members } from "./members.js";
export type { StoredObject } from "./object.js";
export type { QuarantineCursor, QuarantinedChange } from "./quarantine.js";
export { encodeKey, rowHash } from "./row-codec.js";
export { type Column, parseSchema, type Schema, type TableSchema } from "./schema.js";
export { scrub, type ScrubFinding } from "./scrub.js";
export { assertReadStatement } from "./sql/read-statement.js";
export { isWord, nameOf, quoteName, type Token, tokenize } from "./sql/tokens.js";
export { SCHEMAS_TABLE_NAME, type SchemaVersion } from "./schema-history.js";
export type { SchemaPlan } from "./schema-plan.js";
export { SqliteStore, type StoreOptions } from "./sqlite-store.js";
export { isFatal, sqlError } from "./sqlite-error.js";
