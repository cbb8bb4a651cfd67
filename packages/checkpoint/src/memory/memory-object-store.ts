/** An object store in a map: for tests, simulation, and a region that is being tried out. */
import { checkKey, checkPrefix, type ObjectStore, type StoredObject } from "../object-store.js";

export class MemoryObjectStore implements ObjectStore {
  readonly url: string;
  readonly #objects = new Map<string, Uint8Array>();

  constructor(name = "unnamed") {
    this.url = `memory:${name}`;
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    if (this.#objects.has(key)) return "exists";
    this.#objects.set(key, new Uint8Array(bytes)); // Not slice(): a Buffer's shares its memory.
    return "created";
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    const found = this.#objects.get(key);
    return found === undefined ? undefined : new Uint8Array(found);
  }

  async has(key: string): Promise<number | undefined> {
    checkKey(key);
    return this.#objects.get(key)?.length;
  }

  async list(prefix: string): Promise<StoredObject[]> {
    checkPrefix(prefix);
    const found = [...this.#objects].filter(([key]) => key.startsWith(prefix));
    return found.map(([key, { length }]) => ({ key, bytes: length })).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    this.#objects.delete(key);
  }
}

const storesByName = new Map<string, MemoryObjectStore>();

/** The store of that name: the same one for every caller in this process. */
export function namedMemoryObjectStore(name: string): MemoryObjectStore {
  const store = storesByName.get(name) ?? new MemoryObjectStore(name);
  storesByName.set(name, store);
  return store;
}
