/** Reads a file for a checkpoint in the copying thread, which steps back: hashing and packing a gigabyte takes seconds of a core. */
import type { Chunk, ReadChunks } from "@patina/checkpoint";
import type { Copier } from "@patina/runtime";

export function readAside(copier: Copier): ReadChunks {
  return (path, chunkBytes) => {
    let sha256 = "";
    async function* chunks(): AsyncGenerator<Chunk> {
      for (let index = 0; ; index++) {
        const packed = await copier.readChunk(path, index, chunkBytes);
        ({ sha256 } = packed);
        const { id, bytes } = packed;
        if (bytes > 0) yield { index, id, bytes, pack: async () => packed };
        if (bytes < chunkBytes) return;
      }
    }
    return { [Symbol.asyncIterator]: chunks, sha256: () => sha256 };
  };
}
