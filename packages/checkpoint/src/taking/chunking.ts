/**
 * An image as a row of chunks, and a chunk as the bytes of an object. A chunk is named by its plain content, so an
 * image that did not change costs no upload, whatever the codec.
 *
 * Brotli at quality 1 is built into every supported Node, and at the ratio of gzip -1 it is twice as fast.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, brotliDecompressSync, constants } from "node:zlib";
import { sha256Hex } from "../manifest/canonical-json.js";
import { damaged, type Finding } from "../manifest/damage.js";
import type { ChunkDescription } from "../manifest/manifest.js";

/** A chunk of a file, before it is known whether the store has it. */
export interface Chunk {
  readonly index: number;
  readonly id: string;
  readonly bytes: number;
  readonly pack: () => Promise<PackedChunk>;
}

/** A chunk as its object holds it. */
export interface PackedChunk {
  readonly codec: ChunkDescription["codec"];
  readonly stored: Uint8Array;
}

/** A file's chunks, in order, few of them in memory at a time. */
export interface ChunkReader extends AsyncIterable<Chunk> {
  /** Of all that was read. */
  readonly sha256: () => string;
}

export type ReadChunks = (path: string, chunkBytes: number) => ChunkReader;

/** Hashing more than this at once would hold the event loop for longer than a millisecond. */
const SLICE_BYTES = 2 ** 20;

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

/** Reads and hashes in this thread, and packs in Node's own pool. */
export const readChunks: ReadChunks = (path, chunkBytes) => {
  const whole = createHash("sha256");
  const chunks = eachChunk(path, chunkBytes, whole);
  return { [Symbol.asyncIterator]: () => chunks, sha256: () => whole.digest("hex") };
};

async function* eachChunk(path: string, chunkBytes: number, whole: Hash): AsyncGenerator<Chunk> {
  const file = await open(path, "r");
  try {
    for (let index = 0; ; index++) {
      const own = createHash("sha256");
      const buffer = Buffer.allocUnsafeSlow(chunkBytes);
      const length = await fill(file, buffer, index * chunkBytes, [own, whole]);
      const plain = buffer.subarray(0, length);
      if (length > 0) yield { index, id: own.digest("hex"), bytes: length, pack: async () => pack(plain) };
      if (length < chunkBytes) return;
    }
  } finally {
    await file.close();
  }
}

async function pack(plain: Uint8Array): Promise<PackedChunk> {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  const packed = await compress(plain, { params });
  return packed.length < plain.length ? { codec: "brotli", stored: packed } : { codec: "none", stored: plain };
}

/** The SHA-256 of a file, read in slices. */
export async function hashFile(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafeSlow(SLICE_BYTES);
    for (let at = 0; ; at += SLICE_BYTES) {
      if ((await fill(file, buffer, at, [hash])) < SLICE_BYTES) return hash.digest("hex");
    }
  } finally {
    await file.close();
  }
}

/** The plain bytes of brotli. Throws for anything that is not brotli, or unpacks to more than `bytesMax`. */
export type Unpack = (packed: Uint8Array, bytesMax: number) => Promise<Uint8Array>;

const unpackInPool: Unpack = async (packed, bytesMax) => decompress(packed, { maxOutputLength: bytesMax });

/** For a thread that steps back: the pool's threads would not. */
export const unpackHere: Unpack = async (packed, bytesMax) => {
  return brotliDecompressSync(packed, { maxOutputLength: bytesMax });
};

/** The plain bytes, or what is wrong with them. Never allocates more than the manifest says there are. */
export async function decodeChunk(
  object: string,
  chunk: ChunkDescription,
  stored: Uint8Array,
  unpack = unpackInPool,
): Promise<Uint8Array | Finding> {
  if (stored.length !== chunk.stored) return damaged(object, `${chunk.stored} bytes`, `${stored.length} bytes`);
  const plain = chunk.codec === "none" ? stored : await unpacked(stored, chunk.bytes, unpack);
  if (plain === undefined) return damaged(object, `brotli of ${chunk.bytes} bytes`, "what does not unpack to that");
  if (plain.length !== chunk.bytes) return damaged(object, `${chunk.bytes} plain bytes`, `${plain.length}`);
  const got = sha256Hex(plain);
  return got === chunk.id ? plain : damaged(object, `sha256 ${chunk.id}`, `sha256 ${got}`);
}

/** Undefined for anything that is not brotli, or unpacks to more than `bytes`. */
async function unpacked(stored: Uint8Array, bytes: number, unpack: Unpack): Promise<Uint8Array | undefined> {
  try {
    return await unpack(stored, Math.max(bytes, 1));
  } catch {
    return undefined; // The caller reports it with what was expected.
  }
}

/** Reads until the buffer is full or the file ends; answers how much it read. */
async function fill(file: FileHandle, buffer: Buffer, position: number, hashes: readonly Hash[]): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(
      buffer,
      length,
      Math.min(SLICE_BYTES, buffer.length - length),
      position + length,
    );
    if (bytesRead === 0) break;
    for (const hash of hashes) hash.update(buffer.subarray(length, length + bytesRead));
    length += bytesRead;
  }
  return length;
}
