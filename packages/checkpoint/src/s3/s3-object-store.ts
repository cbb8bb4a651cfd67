/**
 * Objects in a bucket of S3 or a server that speaks it.
 *
 * Bodies are buffers, never streams, so that every request can be sent again. Each PUT carries Content-MD5, which every
 * server checks, and its reply must name the same digest; each GET is held against the digest the server names. A name
 * is created with If-None-Match: a server that ignores it is found out by the first write of a process, and refused.
 */
import { createHash } from "node:crypto";
import { addAbortSignal, type Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { AppError } from "@patina/base";
import {
  checkKey,
  checkPrefix,
  isKey,
  type ObjectFacts,
  type ObjectStore,
  type StoredObject,
} from "../object-store.js";
import { slicesOf } from "../slices.js";
import { Lanes } from "./lanes.js";
import { createS3Client } from "./s3-client.js";
import { CorruptError, nameOf, NotS3Error, s3Error, statusOf, TruncatedError } from "./s3-error.js";
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
  readonly #lanes: Lanes;
  readonly #wallMs: (() => number) | undefined;
  #serverMs: number | undefined;
  #skewMs: number | undefined;
  #createOnly: Promise<void> | undefined;

  constructor(place: S3Place, { limits = {}, wallMs }: S3Options = {}) {
    this.place = place;
    this.url = place.url;
    this.#limits = { ...DEFAULT_S3_LIMITS, ...limits };
    this.#lanes = new Lanes(this.#limits.concurrency, this.#limits.waiting);
    this.#wallMs = wallMs;
    this.client = createS3Client(place, this.#limits, ({ dateMs }) => this.#onDate(dateMs));
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    checkKey(key);
    if (this.place.isCreateOnly) await this.#mustBeCreateOnly();
    else if ((await this.head(key)) !== undefined) return "exists";
    return this.#operation("write", key, (signal) => this.#put(key, bytes, signal));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    return this.#operation("read", key, (signal) => this.#get(key, signal));
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    checkKey(key);
    return this.#operation("look up", key, (signal) => this.#head(key, signal));
  }

  async list(prefix: string): Promise<StoredObject[]> {
    checkPrefix(prefix);
    const found: StoredObject[] = [];
    let token: string | undefined;
    do {
      const page = await this.#operation("list", prefix, (signal) => this.#listPage(prefix, token, signal));
      for (const { Key = "", Size, LastModified } of page.Contents ?? []) {
        if (Size === undefined || LastModified === undefined) throw this.#failed("list", prefix, notAList());
        const key = Key.slice(this.place.prefix.length);
        if (isKey(key)) found.push({ key, bytes: Size, modifiedAtMs: wholeSeconds(LastModified) });
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#operation("delete", key, (abortSignal) =>
      this.client.send(new DeleteObjectCommand(this.#named(key)), { abortSignal }),
    );
  }

  async now(): Promise<number> {
    this.#serverMs = undefined;
    await this.#operation("get the time for", "", (signal) => this.#listPage(CREATE_ONLY_PROBE, undefined, signal, 1));
    if (this.#serverMs !== undefined) return this.#serverMs;
    throw this.#failed("get the time for", "", new NotS3Error("the reply has no Date"));
  }

  contentName(sha256: string): string {
    return sha256;
  }

  /** Our clock minus the server's as of the last reply, in milliseconds; undefined before there was one. */
  get skewMs(): number | undefined {
    return this.#skewMs;
  }

  /** Runs `work` in a lane, ends it at its deadline, and turns what it throws into an `AppError`. */
  async #operation<T>(verb: string, key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#lanes.run(async () => {
      try {
        return await work(AbortSignal.timeout(this.#limits.operationMs));
      } catch (error) {
        throw this.#failed(verb, key, error);
      }
    });
  }

  #failed(verb: string, key: string, error: unknown): AppError {
    const { url, bucket } = this.place;
    return s3Error(error, { verb, key, url, bucket, skewMs: this.#skewMs });
  }

  /** One request a process at a store that was used before, two at a new one. */
  async #mustBeCreateOnly(): Promise<void> {
    this.#createOnly ??= this.#operation("write", CREATE_ONLY_PROBE, async (signal) => {
      const bytes = Buffer.from("Shows whether this store keeps the first of two writes.\n");
      for (let write = 0; write < 2; write++) {
        if ((await this.#put(CREATE_ONLY_PROBE, bytes, signal)) === "exists") return;
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

  async #put(key: string, bytes: Uint8Array, abortSignal: AbortSignal): Promise<"created" | "exists"> {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const hash = createHash("md5");
    for await (const slice of slicesOf(body)) hash.update(slice);
    const digest = hash.digest();
    const request = { ...this.#named(key), Body: body, ContentMD5: digest.toString("base64") };
    const condition = this.place.isCreateOnly ? { IfNoneMatch: "*" } : {};
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.client.send(new PutObjectCommand({ ...request, ...condition }), { abortSignal });
        this.#checkDigest(reply.ETag, reply.ServerSideEncryption, digest.toString("hex"));
        return "created";
      } catch (error) {
        // AWS answers 409 to one of two that write at the same time, and wants it sent again.
        if (statusOf(error) === 409 && attempt < this.#limits.attempts) continue;
        if (statusOf(error) !== 412) throw error;
        return (await this.#isOurs(error, key, body, abortSignal)) ? "created" : "exists";
      }
    }
  }

  /** Whether the precondition failed because of our own earlier attempt, whose acknowledgement was lost. */
  async #isOurs(error: unknown, key: string, body: Buffer, signal: AbortSignal): Promise<boolean> {
    const { $metadata: metadata } = error as { $metadata?: { attempts?: number } };
    if ((metadata?.attempts ?? 1) < 2) return false;
    const stored = await this.#get(key, signal);
    return stored !== undefined && body.equals(stored);
  }

  /** A body that arrives short or changed is asked for again; the SDK only repeats what fails before it. */
  async #get(key: string, abortSignal: AbortSignal): Promise<Uint8Array | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.client.send(new GetObjectCommand(this.#named(key)), { abortSignal });
        return await this.#readBody(reply, abortSignal);
      } catch (error) {
        if (nameOf(error) === "NoSuchKey") return undefined;
        const isOfTheWay = error instanceof TruncatedError || error instanceof CorruptError;
        if (!isOfTheWay || attempt >= this.#limits.attempts) throw error;
      }
    }
  }

  async #readBody(reply: GetObjectCommandOutput, signal: AbortSignal): Promise<Uint8Array> {
    const { ContentLength: length, ETag, ServerSideEncryption } = reply;
    if (length === undefined || reply.Body === undefined) throw new NotS3Error("the reply has no Content-Length");
    const body = addAbortSignal(signal, reply.Body as Readable);
    if (length > this.#limits.objectBytes) {
      body.destroy();
      throw new AppError("object-store", `an object of ${length} bytes is larger than any of a checkpoint`, {
        hint: `The limit is ${this.#limits.objectBytes} bytes; see who else writes into this prefix.`,
      });
    }
    const bytes = Buffer.allocUnsafeSlow(length);
    const hash = createHash("md5");
    let got = 0;
    try {
      for await (const part of body as AsyncIterable<Buffer>) {
        got += part.copy(bytes, got);
        hash.update(part);
      }
    } catch (error) {
      if (signal.aborted || nameOf(error) === "TimeoutError") throw error;
      throw new TruncatedError(`${got} of ${length} bytes arrived`, { cause: error });
    }
    if (got !== length) throw new TruncatedError(`${got} of ${length} bytes arrived`);
    this.#checkDigest(ETag, ServerSideEncryption, hash.digest("hex"));
    return bytes;
  }

  /**
   * HEAD has no body, so a 404 may be a missing bucket, a 403 anything, and either a stranger's: then a list, which says
   * what is wrong, is the answer.
   */
  async #head(key: string, abortSignal: AbortSignal): Promise<ObjectFacts | undefined> {
    try {
      const reply = await this.client.send(new HeadObjectCommand(this.#named(key)), { abortSignal });
      const { ContentLength: bytes, LastModified, ETag } = reply;
      if (bytes === undefined || LastModified === undefined || ETag === undefined) {
        throw new NotS3Error("the reply has no length, time or tag");
      }
      return { bytes, modifiedAtMs: wholeSeconds(LastModified) };
    } catch (error) {
      if (![400, 403, 404].includes(statusOf(error) ?? 0)) throw error;
      const { Contents = [] } = await this.#listPage(key, undefined, abortSignal, 1);
      if (Contents.some(({ Key }) => Key === this.place.prefix + key)) throw error;
      return undefined;
    }
  }

  async #listPage(
    prefix: string,
    token: string | undefined,
    abortSignal: AbortSignal,
    most = 1000,
  ): Promise<ListObjectsV2CommandOutput> {
    const { bucket: Bucket, prefix: own } = this.place;
    const page = await this.client.send(
      new ListObjectsV2Command({ Bucket, Prefix: own + prefix, MaxKeys: most, ContinuationToken: token }),
      { abortSignal },
    );
    const isCutShort = page.IsTruncated === true && page.NextContinuationToken === undefined;
    if (page.Name === undefined || page.IsTruncated === undefined || isCutShort) throw notAList();
    return page;
  }

  /** The tag is the MD5 of what is stored, unless a key of the store's own sealed it. */
  #checkDigest(tag: string | undefined, encryption: string | undefined, expected: string): void {
    if (tag === undefined) throw new NotS3Error("the reply has no ETag");
    const got = tag.replaceAll('"', "");
    if (encryption?.startsWith("aws:kms") === true || !/^[0-9a-f]{32}$/.test(got) || got === expected) return;
    throw new CorruptError(`MD5 ${expected} became ${got}`);
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: this.place.prefix + key };
  }

  #onDate(dateMs: number | undefined): void {
    if (dateMs === undefined) return;
    this.#serverMs = dateMs;
    if (this.#wallMs !== undefined) this.#skewMs = this.#wallMs() - dateMs;
  }
}

/** HEAD and LIST answer to the second and to the millisecond: the same for both. */
function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000;
}

function notAList(): NotS3Error {
  return new NotS3Error("the reply is not a list of objects");
}
