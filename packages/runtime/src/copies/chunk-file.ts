/** A file that is read chunk after chunk, each hashed and packed, in the thread that asks: for one that steps back for others. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import type { ReadChunk } from "./protocol.js";

export class ChunkFile {
  readonly path: string;
  readonly #chunkBytes: number;
  readonly #file: number;
  readonly #whole = createHash("sha256");
  #next = 0;

  constructor(path: string, chunkBytes: number) {
    this.path = path;
    this.#chunkBytes = chunkBytes;
    this.#file = openSync(path, "r");
  }

  /** Whether this chunk is the one that comes now. */
  isNext(index: number, chunkBytes: number): boolean {
    return index === this.#next && chunkBytes === this.#chunkBytes;
  }

  read(): ReadChunk {
    const plain = this.#fill(this.#next++ * this.#chunkBytes);
    this.#whole.update(plain);
    const id = createHash("sha256").update(plain).digest("hex");
    const sha256 = this.#whole.copy().digest("hex");
    const params = { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
    const packed = brotliCompressSync(plain, { params });
    const isSmaller = packed.length < plain.length;
    return {
      id,
      bytes: plain.length,
      codec: isSmaller ? "brotli" : "none",
      stored: isSmaller ? packed : plain,
      sha256,
    };
  }

  close(): void {
    closeSync(this.#file);
  }

  #fill(position: number): Uint8Array {
    const buffer = Buffer.allocUnsafeSlow(this.#chunkBytes);
    let length = 0;
    while (length < buffer.length) {
      const got = readSync(this.#file, buffer, length, buffer.length - length, position + length);
      if (got === 0) break;
      length += got;
    }
    return buffer.subarray(0, length);
  }
}
