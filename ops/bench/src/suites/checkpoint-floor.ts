/** The bare work of a restore: getting the chunks, unpacking them, and writing them through to the disk. Nobody checks anything. */
import { open, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { must } from "@patina/base";
import { DEFAULT_LIMITS, type Manifest } from "@patina/checkpoint";

const decompress = promisify(brotliDecompress);

/** As many chunks at a time as a restore takes, so that the comparison is of checking and not of threads. */
export async function unpackDurably(
  { content }: Manifest,
  stored: (index: number) => Promise<Uint8Array>,
  to: string,
): Promise<void> {
  const file = await open(to, "w");
  try {
    const { chunkBytes, concurrency } = DEFAULT_LIMITS;
    let next = 0;
    const unpackInTurn = async (): Promise<void> => {
      for (let index = next++; index < content.chunks.length; index = next++) {
        const packed = await stored(index);
        const isPacked = must(content.chunks[index], "a chunk").codec === "brotli";
        const plain = isPacked ? await decompress(packed) : packed;
        await file.write(plain, 0, plain.length, index * chunkBytes);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, unpackInTurn));
    await file.sync();
  } finally {
    await file.close();
  }
  if ((await stat(to)).size !== content.bytes) throw new Error("the unpacked file is not of the image's size");
}
