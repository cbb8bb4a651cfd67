/**
 * An image as a row of chunks, and a chunk as the bytes of an object. A chunk is named by its plain content, so an
 * image that did not change costs no upload, whatever the codec.
 *
 * Brotli at quality 1 is built into every supported Node, and at the ratio of gzip -1 it is twice as fast.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants } from "node:zlib";
import { sha256Hex } from "./canonical-json.js";
import { damaged, type Finding } from "./damage.js";
import type { ChunkDescription } from "./manifest.js";

export interface PlainChunk {
  readonly index: number;
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface EncodedChunk {
  readonly codec: ChunkDescription["codec"];
  readonly stored: Uint8Array;
}

/** Hashing more than this at once would hold the event loop for longer than a millisecond. */
const SLICE_BYTES = 2 ** 20;

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

/** Yields the file's chunks in order, one in memory at a time. `whole` gets every byte. */
export async function* readChunks(path: string, chunkBytes: number, whole: Hash): AsyncGenerator<PlainChunk> {
  const file = await open(path, "r");
  try {
    for (let index = 0; ; index++) {
      const own = createHash("sha256");
      const buffer = Buffer.allocUnsafeSlow(chunkBytes);
      const length = await fill(file, buffer, index * chunkBytes, [own, whole]);
      if (length > 0) yield { index, id: own.digest("hex"), bytes: buffer.subarray(0, length) };
      if (length < chunkBytes) return;
    }
  } finally {
    await file.close();
  }
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

/** Brotli of these bytes, at quality 1 or so. */
export type Pack = (plain: Uint8Array) => Promise<Uint8Array>;

const packInPool: Pack = async (plain) => {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  return compress(plain, { params });
};

export async function encodeChunk(plain: Uint8Array, pack: Pack = packInPool): Promise<EncodedChunk> {
  const packed = await pack(plain);
  return packed.length < plain.length ? { codec: "brotli", stored: packed } : { codec: "none", stored: plain };
}

/** The plain bytes, or what is wrong with them. Never allocates more than the manifest says there are. */
export async function decodeChunk(
  object: string,
  chunk: ChunkDescription,
  stored: Uint8Array,
): Promise<Uint8Array | Finding> {
  if (stored.length !== chunk.stored) return damaged(object, `${chunk.stored} bytes`, `${stored.length} bytes`);
  const plain = chunk.codec === "none" ? stored : await unpack(stored, chunk.bytes);
  if (plain === undefined) return damaged(object, `brotli of ${chunk.bytes} bytes`, "what does not unpack to that");
  if (plain.length !== chunk.bytes) return damaged(object, `${chunk.bytes} plain bytes`, `${plain.length}`);
  const got = sha256Hex(plain);
  return got === chunk.id ? plain : damaged(object, `sha256 ${chunk.id}`, `sha256 ${got}`);
}

/** Undefined for anything that is not brotli, or unpacks to more than `bytes`. */
async function unpack(stored: Uint8Array, bytes: number): Promise<Uint8Array | undefined> {
  try {
    return await decompress(stored, { maxOutputLength: Math.max(bytes, 1) });
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
