/**
 * Objects in a bucket of S3 or a server that speaks it: so many requests at once, each with a deadline, each failure
 * with a code of its own. A name is created with If-None-Match; a server that ignores it is found out by the first write
 * of a process, and refused.
 */
import type { S3Client } from "@aws-sdk/client-s3";
import { AppError } from "@patina/base";
import {
  checkKey,
  checkPrefix,
  isKey,
  type ObjectFacts,
  type ObjectStore,
  type StoredObject,
} from "../object-store.js";
import { Bucket } from "./bucket.js";
import { Lanes } from "./lanes.js";
import { createS3Client } from "./s3-client.js";
import { NotS3Error, s3Error } from "./s3-error.js";
import { DEFAULT_S3_LIMITS, type S3Limits } from "./s3-limits.js";
import type { S3Place } from "./s3-url.js";

/** Not a name that `checkKey` allows, so never a checkpoint's and never listed. It stays, so deleting is not needed. */
const CREATE_ONLY_PROBE = ".create-only";

export interface S3Options {
  readonly limits?: Partial<S3Limits>;
  /** Our own clock, to say by how much it is wrong. */
  readonly wallMs?: (() => number) | undefined;
}

export class S3ObjectStore implements ObjectStore {
  readonly url: string;
  readonly client: S3Client;
  readonly place: S3Place;
  readonly #limits: S3Limits;
  readonly #bucket: Bucket;
  readonly #lanes: Lanes;
  readonly #wallMs: (() => number) | undefined;
  /** The server's clock as of the last reply, and by how much ours was ahead of it. */
  #serverMs: number | undefined;
  #skewMs: number | undefined;
  #createOnly: Promise<void> | undefined;

  constructor(place: S3Place, { limits = {}, wallMs }: S3Options = {}) {
    this.place = place;
    this.url = place.url;
    this.#limits = { ...DEFAULT_S3_LIMITS, ...limits };
    this.#lanes = new Lanes(this.#limits.concurrency, this.#limits.waiting);
    this.#wallMs = wallMs;
    this.client = createS3Client(place, this.#limits, ({ dateMs }) => this.#onReply(dateMs));
    this.#bucket = new Bucket(this.client, place, this.#limits);
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    if (this.place.isCreateOnly) await this.#mustBeCreateOnly();
    else if ((await this.head(key)) !== undefined) return "exists";
    return this.#operation("write", key, (signal) => this.#bucket.put(key, bytes, signal));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    return this.#operation("read", key, (signal) => this.#bucket.get(key, signal));
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    checkKey(key);
    return this.#operation("look up", key, (signal) => this.#bucket.head(key, signal));
  }

  async list(prefix: string): Promise<StoredObject[]> {
    checkPrefix(prefix);
    const found: StoredObject[] = [];
    let from: string | undefined;
    do {
      const page = await this.#operation("list", prefix, (signal) => this.#bucket.list(prefix, { from }, signal));
      found.push(...page.objects.filter(({ key }) => isKey(key)));
      from = page.next;
    } while (from !== undefined);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#operation("delete", key, (signal) => this.#bucket.delete(key, signal));
  }

  async now(): Promise<number> {
    return this.#operation("get the time for", "", async (signal) => {
      await this.#bucket.list(CREATE_ONLY_PROBE, { most: 1 }, signal);
      if (this.#serverMs === undefined) throw new NotS3Error("the reply has no Date");
      return this.#serverMs;
    });
  }

  contentName(sha256: string): string {
    return sha256;
  }

  /** Runs `work` in a lane, ends it at its deadline, and turns what it throws into an `AppError`. */
  async #operation<T>(verb: string, key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#lanes.run(async () => {
      try {
        return await work(AbortSignal.timeout(this.#limits.operationMs));
      } catch (error) {
        const { url, bucket } = this.place;
        throw s3Error(error, { verb, key, url, bucket, skewMs: this.#skewMs });
      }
    });
  }

  /** One request a process at a store that was used before, two at a new one. */
  async #mustBeCreateOnly(): Promise<void> {
    this.#createOnly ??= this.#operation("write", CREATE_ONLY_PROBE, async (signal) => {
      const bytes = Buffer.from("Shows whether this store keeps the first of two writes.\n");
      for (let write = 0; write < 2; write++) {
        if ((await this.#bucket.put(CREATE_ONLY_PROBE, bytes, signal)) === "exists") return;
      }
      throw new AppError("object-store-not-create-only", `${this.url} overwrites an object that must only be created`, {
        hint: "Do not keep checkpoints there: it ignores If-None-Match, so a claim or a manifest could be replaced.",
        details: { object: CREATE_ONLY_PROBE, store: this.url },
      });
    });
    try {
      await this.#createOnly;
    } catch (error) {
      this.#createOnly = undefined;
      throw error;
    }
  }

  #onReply(dateMs: number | undefined): void {
    this.#serverMs = dateMs;
    if (dateMs !== undefined && this.#wallMs !== undefined) this.#skewMs = this.#wallMs() - dateMs;
  }
}
