/**
 * The requests that an object store makes of one bucket, each with what has to be true of its reply.
 *
 * Bodies are buffers, never streams, so that every request can be sent again. Each PUT carries Content-MD5, which every
 * server checks, and its reply must name the same digest; each GET is held against the digest the server names.
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
import type { ObjectFacts, StoredObject } from "../object-store.js";
import { slicesOf } from "../slices.js";
import { CorruptError, nameOf, NotS3Error, statusOf, TruncatedError } from "./s3-error.js";
import type { S3Limits } from "./s3-limits.js";
import type { S3Place } from "./s3-url.js";

/** A part of a list; `next` continues it. */
export interface Page {
  /** Under their names in the store, whatever somebody else put there included. */
  readonly objects: readonly StoredObject[];
  readonly next: string | undefined;
}

/** Throws what the SDK throws, and the errors of `s3-error.ts` for replies that it would have believed. */
export class Bucket {
  readonly #client: S3Client;
  readonly #place: S3Place;
  readonly #limits: S3Limits;

  constructor(client: S3Client, place: S3Place, limits: S3Limits) {
    this.#client = client;
    this.#place = place;
    this.#limits = limits;
  }

  async put(key: string, bytes: Uint8Array, abortSignal: AbortSignal): Promise<"created" | "exists"> {
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const hash = createHash("md5");
    for await (const slice of slicesOf(body)) hash.update(slice);
    const digest = hash.digest();
    const request = { ...this.#named(key), Body: body, ContentMD5: digest.toString("base64") };
    const condition = this.#place.isCreateOnly ? { IfNoneMatch: "*" } : {};
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#client.send(new PutObjectCommand({ ...request, ...condition }), { abortSignal });
        checkDigest(reply.ETag, reply.ServerSideEncryption, digest.toString("hex"));
        return "created";
      } catch (error) {
        // AWS answers 409 to one of two that write at the same time, and wants it sent again.
        if (statusOf(error) === 409 && attempt < this.#limits.attempts) continue;
        if (statusOf(error) !== 412) throw error;
        return (await this.#isOurs(error, key, body, abortSignal)) ? "created" : "exists";
      }
    }
  }

  /** A body that arrives short or changed is asked for again; the SDK only repeats what fails before it. */
  async get(key: string, abortSignal: AbortSignal): Promise<Uint8Array | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#client.send(new GetObjectCommand(this.#named(key)), { abortSignal });
        return await this.#readBody(reply, abortSignal);
      } catch (error) {
        if (nameOf(error) === "NoSuchKey") return undefined;
        const isOfTheWay = error instanceof TruncatedError || error instanceof CorruptError;
        if (!isOfTheWay || attempt >= this.#limits.attempts) throw error;
      }
    }
  }

  /**
   * HEAD has no body, so a 404 may be a missing bucket, a 403 anything, and either a stranger's: then a list, which says
   * what is wrong, is the answer.
   */
  async head(key: string, abortSignal: AbortSignal): Promise<ObjectFacts | undefined> {
    try {
      const reply = await this.#client.send(new HeadObjectCommand(this.#named(key)), { abortSignal });
      const { ContentLength: bytes, LastModified, ETag } = reply;
      if (bytes === undefined || LastModified === undefined || ETag === undefined) {
        throw new NotS3Error("the reply has no length, time or tag");
      }
      return { bytes, modifiedAtMs: wholeSeconds(LastModified) };
    } catch (error) {
      if (![400, 403, 404].includes(statusOf(error) ?? 0)) throw error;
      const { objects } = await this.list(key, { most: 1 }, abortSignal);
      if (objects.some((object) => object.key === key)) throw error;
      return undefined;
    }
  }

  async list(
    prefix: string,
    { from, most = 1000 }: { readonly from?: string | undefined; readonly most?: number },
    abortSignal: AbortSignal,
  ): Promise<Page> {
    const { bucket, prefix: own } = this.#place;
    const page = await this.#client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: own + prefix, MaxKeys: most, ContinuationToken: from }),
      { abortSignal },
    );
    return { objects: objectsIn(page, own.length), next: page.NextContinuationToken };
  }

  async delete(key: string, abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#named(key)), { abortSignal });
  }

  /** Whether the precondition failed because of our own earlier attempt, whose acknowledgement was lost. */
  async #isOurs(error: unknown, key: string, body: Buffer, signal: AbortSignal): Promise<boolean> {
    const { $metadata: metadata } = error as { $metadata?: { attempts?: number } };
    if ((metadata?.attempts ?? 1) < 2) return false;
    const stored = await this.get(key, signal);
    return stored !== undefined && body.equals(stored);
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
    checkDigest(ETag, ServerSideEncryption, hash.digest("hex"));
    return bytes;
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + key };
  }
}

function objectsIn(page: ListObjectsV2CommandOutput, prefixLength: number): StoredObject[] {
  const isCutShort = page.IsTruncated === true && page.NextContinuationToken === undefined;
  if (page.Name === undefined || page.IsTruncated === undefined || isCutShort) throw notAList();
  return (page.Contents ?? []).map(({ Key, Size, LastModified }) => {
    if (Key === undefined || Size === undefined || LastModified === undefined) throw notAList();
    return { key: Key.slice(prefixLength), bytes: Size, modifiedAtMs: wholeSeconds(LastModified) };
  });
}

/** The tag is the MD5 of what is stored, unless a key of the store's own sealed it. */
function checkDigest(tag: string | undefined, encryption: string | undefined, expected: string): void {
  if (tag === undefined) throw new NotS3Error("the reply has no ETag");
  const got = tag.replaceAll('"', "");
  if (encryption?.startsWith("aws:kms") === true || !/^[0-9a-f]{32}$/.test(got) || got === expected) return;
  throw new CorruptError(`MD5 ${expected} became ${got}`);
}

/** HEAD and LIST answer to the second and to the millisecond: the same for both. */
function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000;
}

function notAList(): NotS3Error {
  return new NotS3Error("the reply is not a list of objects");
}
