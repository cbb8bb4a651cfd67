/** An object store in a map: for tests, simulation, and a region that is being tried out. */
import { checkKey, checkPrefix, type ObjectFacts, type ObjectStore, type StoredObject } from "../object-store.js";

export class MemoryObjectStore implements ObjectStore {
  readonly url: string;
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly modifiedAtMs: number }>();
  readonly #wallMs: () => number;

  /** Its time stands still unless it is given a clock. */
  constructor(name = "unnamed", wallMs: () => number = () => 0) {
    this.url = `memory:${name}`;
    this.#wallMs = wallMs;
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    if (this.#objects.has(key)) return "exists";
    const copy = new Uint8Array(bytes); // Not slice(): a Buffer's shares its memory.
    this.#objects.set(key, { bytes: copy, modifiedAtMs: Math.floor(this.#wallMs()) });
    return "created";
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    const found = this.#objects.get(key);
    return found === undefined ? undefined : new Uint8Array(found.bytes);
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    checkKey(key);
    const found = this.#objects.get(key);
    return found === undefined ? undefined : { bytes: found.bytes.length, modifiedAtMs: found.modifiedAtMs };
  }

  async list(prefix: string): Promise<StoredObject[]> {
    checkPrefix(prefix);
    const found = [...this.#objects].filter(([key]) => key.startsWith(prefix));
    return found
      .map(([key, { bytes, modifiedAtMs }]) => ({ key, bytes: bytes.length, modifiedAtMs }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    this.#objects.delete(key);
  }

  async now(): Promise<number> {
    return Math.floor(this.#wallMs());
  }

  contentName(sha256: string): string {
    return sha256;
  }
}

const storesByName = new Map<string, MemoryObjectStore>();

/** The store of that name: the same one for every caller in this process, on the clock of the first. */
export function namedMemoryObjectStore(name: string, wallMs?: () => number): MemoryObjectStore {
  const store = storesByName.get(name) ?? new MemoryObjectStore(name, wallMs);
  storesByName.set(name, store);
  return store;
}
