/**
 * An object store that whoever can write into the bucket cannot put anything into, and, encrypted, cannot read anything
 * from. It stands around another store, and the rest of the package knows nothing of it.
 *
 * Signed: what is not named by its content (manifests, generations, claims) carries a signature. Data needs none: it is
 * found by a hash in a manifest. Encrypted: everything is sealed, and content is named by an HMAC of its hash.
 *
 * Not prevented: deleting objects, and hiding newer ones behind older ones. Versioning and object lock are for that.
 */
import { createHmac } from "node:crypto";
import { AppError } from "@patina/base";
import { damaged, damageError } from "../manifest/damage.js";
import type { ObjectFacts, ObjectStore, StoredObject } from "../object-store.js";
import type { KeyRing, Entropy } from "./key-ring.js";
import { encryption, type Seal, signature } from "./seals.js";
import { findStoreKey, makeStoreKey, SEALING } from "./store-key.js";

export interface Sealing {
  readonly ring: KeyRing;
  readonly entropy: Entropy;
}

const CONTENT_NAMED = /\/[0-9a-f]{2}\/[0-9a-f]{64}(\.\d+)?$/;

export class SealedObjectStore implements ObjectStore {
  readonly url: string;
  readonly #inner: ObjectStore;
  readonly #sealing: Sealing;
  #seal: Seal | undefined;

  constructor(inner: ObjectStore, sealing: Sealing) {
    this.url = inner.url;
    this.#inner = inner;
    this.#sealing = sealing;
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    this.#refuseOurOwn(key);
    const { ring, entropy } = this.#sealing;
    this.#seal ??= this.#sealOf(await makeStoreKey(this.#inner, ring, entropy));
    return this.#inner.putIfAbsent(key, this.#isOpen(key) ? bytes : await this.#seal.close(key, bytes));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#refuseOurOwn(key);
    const seal = await this.#existingSeal();
    const stored = seal === undefined ? undefined : await this.#inner.get(key);
    if (seal === undefined || stored === undefined || this.#isOpen(key)) return stored;
    const bytes = await seal.open(key, stored);
    if (bytes !== undefined) return bytes;
    // Data is found by a hash in a manifest that was genuine, so it is damaged; a record may be anybody's.
    if (CONTENT_NAMED.test(key)) throw damageError(damaged(key, "what this store's key sealed", "other bytes"));
    throw new AppError("checkpoint-forged", `${key} in ${this.url} was not written with this store's key`, {
      hint: "It was planted, moved or damaged: find out who can write there, and restore another checkpoint.",
      details: { object: key, store: this.url },
    });
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    this.#refuseOurOwn(key);
    const seal = await this.#existingSeal();
    const found = await this.#inner.head(key);
    return seal === undefined || found === undefined
      ? found
      : { ...found, bytes: found.bytes - this.#grown(key, seal) };
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const seal = await this.#existingSeal();
    const found = (await this.#inner.list(prefix)).filter(({ key }) => !key.startsWith(SEALING));
    if (seal === undefined) return found;
    return found.map((object) => ({ ...object, bytes: object.bytes - this.#grown(object.key, seal) }));
  }

  async delete(key: string): Promise<void> {
    this.#refuseOurOwn(key);
    await this.#inner.delete(key);
  }

  async now(): Promise<number> {
    return this.#inner.now();
  }

  contentName(sha256: string): string {
    const { mode, names } = this.#sealing.ring;
    if (mode === "signed") return this.#inner.contentName(sha256);
    return createHmac("sha256", Buffer.from(names, "hex")).update(sha256).digest("hex");
  }

  /** Undefined while the store is empty: reading makes no key, so that a reader needs no right to write. */
  async #existingSeal(): Promise<Seal | undefined> {
    if (this.#seal !== undefined) return this.#seal;
    const key = await findStoreKey(this.#inner, this.#sealing.ring);
    if (key !== undefined) this.#seal = this.#sealOf(key);
    return this.#seal;
  }

  #sealOf(storeKey: Buffer): Seal {
    const { ring, entropy } = this.#sealing;
    return ring.mode === "signed" ? signature(storeKey) : encryption(storeKey, entropy);
  }

  /** What lies as it is, because its name proves it. */
  #isOpen(key: string): boolean {
    return this.#sealing.ring.mode === "signed" && CONTENT_NAMED.test(key);
  }

  #grown(key: string, seal: Seal): number {
    return this.#isOpen(key) ? 0 : seal.overhead;
  }

  #refuseOurOwn(key: string): void {
    if (!key.startsWith(SEALING)) return;
    throw new AppError("object-store", `${key} is the sealed store's own`, { hint: `Use no key under ${SEALING}.` });
  }
}
