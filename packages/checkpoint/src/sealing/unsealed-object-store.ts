/** A store that is used without a key: it says so when a key is what it takes, instead of reading sealed bytes. */
import { AppError } from "@patina/base";
import type { ObjectFacts, ObjectStore, StoredObject } from "../object-store.js";
import { isSealed } from "./store-key.js";

export class UnsealedObjectStore implements ObjectStore {
  readonly url: string;
  readonly #inner: ObjectStore;
  #isChecked = false;

  constructor(inner: ObjectStore) {
    this.url = inner.url;
    this.#inner = inner;
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    return (await this.#checked()).putIfAbsent(key, bytes);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#checked()).get(key);
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    return (await this.#checked()).head(key);
  }

  async list(prefix: string): Promise<StoredObject[]> {
    return (await this.#checked()).list(prefix);
  }

  async delete(key: string): Promise<void> {
    await (await this.#checked()).delete(key);
  }

  async now(): Promise<number> {
    return this.#inner.now();
  }

  contentName(sha256: string): string {
    return this.#inner.contentName(sha256);
  }

  async #checked(): Promise<ObjectStore> {
    if (!this.#isChecked && (await isSealed(this.#inner))) {
      throw new AppError("sealing-key-missing", `${this.url} is signed or encrypted, and there is no key`, {
        hint: "Set key_file under [checkpoint], or PATINA_CHECKPOINT_KEY_FILE for a command.",
        details: { store: this.url },
      });
    }
    this.#isChecked = true;
    return this.#inner;
  }
}
