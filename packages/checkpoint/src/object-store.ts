/**
 * What checkpoints ask of an object store: create-only PUT, GET, HEAD, LIST, DELETE. Nothing is ever overwritten, so
 * a store needs no other promise, and its own integrity is not trusted: every object is checked by its SHA-256.
 *
 * Implementations run the suite in `testing/object-store-suite.ts`.
 */
import { AppError } from "@patina/base";

/** What a store knows of an object without reading it. */
export interface ObjectFacts {
  readonly bytes: number;
  /** When it was created, on the clock that `now()` reads, rounded down to at most a second. */
  readonly modifiedAtMs: number;
}

export interface StoredObject extends ObjectFacts {
  readonly key: string;
}

export interface ObjectStore {
  /** What opens this store again, for messages. Never holds a credential. */
  readonly url: string;
  /**
   * Creates the object whole or not at all. Of any number of concurrent calls for one key exactly one creates it; the
   * others leave it as it is. Either answer means that the object is durable.
   */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists">;
  get(key: string): Promise<Uint8Array | undefined>;
  head(key: string): Promise<ObjectFacts | undefined>;
  /** All objects whose key starts with `prefix`, sorted by key. */
  list(prefix: string): Promise<StoredObject[]>;
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>;
  /**
   * The store's own time in milliseconds, rounded like `modifiedAtMs`. Ages are reckoned with it alone, so that no
   * machine's clock decides which object is old.
   */
  now(): Promise<number>;
  /**
   * What an object is called that is named by its content's SHA-256 (64 hex digits both): the same, save in a store
   * whose names must not tell what it holds.
   */
  contentName(sha256: string): string;
}

const KEY_LENGTH_MAX = 512;
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/;

/**
 * Throws unless `key` means the same object on every store: segments of `[A-Za-z0-9._-]` between slashes, none of
 * which starts with a dot or a dash, 512 bytes at most.
 */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw new AppError("object-store", `${JSON.stringify(key)} is not an object key`, {
    hint: "Use letters, digits, dot, dash and underscore between slashes; no part may start with a dot or a dash.",
  });
}

/** What `checkKey` lets through. */
export function isKey(text: string): boolean {
  return text.length <= KEY_LENGTH_MAX && text.split("/").every((segment) => SEGMENT.test(segment));
}

/** As `checkKey`, for the start of a key, which may be empty or end in a slash. */
export function checkPrefix(prefix: string): void {
  if (prefix !== "") checkKey(prefix.endsWith("/") ? prefix.slice(0, -1) : prefix);
}
