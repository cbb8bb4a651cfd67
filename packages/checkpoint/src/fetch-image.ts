/** Brings the image of a checkpoint back as a file, and proves that it is the one that was taken. */
import { type FileHandle, open } from "node:fs/promises";
import { forEachBounded } from "./bounded.js";
import { decodeChunk, hashFile } from "./chunking.js";
import { damaged, damageError, missing } from "./damage.js";
import { chunkKey, manifestKey } from "./keys.js";
import { DEFAULT_LIMITS } from "./limits.js";
import type { ChunkDescription, Manifest } from "./manifest.js";
import type { ObjectStore } from "./object-store.js";
import { ignoreProgress, type OnProgress } from "./progress.js";

/**
 * Writes the image to `toPath`, replacing what is there, and flushes it. Every chunk is checked as it arrives and the
 * whole as it lies on disk; the first that does not match is thrown as `checkpoint-damaged`, and what was written by
 * then is the caller's to discard.
 */
export async function fetchImage(
  objects: ObjectStore,
  manifest: Manifest,
  toPath: string,
  onProgress: OnProgress = ignoreProgress,
): Promise<void> {
  const { cluster, image } = manifest;
  const file = await open(toPath, "w");
  try {
    let done = 0;
    await forEachBounded(placed(image.chunks), DEFAULT_LIMITS.concurrency, async ({ chunk, position }) => {
      await writeAll(
        file,
        await fetchChunk(objects, chunkKey(cluster, objects.contentName(chunk.id)), chunk),
        position,
      );
      done += chunk.bytes;
      onProgress({ phase: "fetch", done, total: image.bytes });
    });
    await file.sync();
  } finally {
    await file.close();
  }
  onProgress({ phase: "check", done: image.bytes, total: image.bytes });
  const got = await hashFile(toPath);
  if (got === image.sha256) return;
  throw damageError(damaged(manifestKey(cluster, manifest.id), `an image of sha256 ${image.sha256}`, `sha256 ${got}`));
}

async function fetchChunk(objects: ObjectStore, key: string, chunk: ChunkDescription): Promise<Uint8Array> {
  const stored = await objects.get(key);
  if (stored === undefined) throw damageError(missing(key, `${chunk.stored} bytes`));
  const plain = await decodeChunk(key, chunk, stored);
  if (plain instanceof Uint8Array) return plain;
  throw damageError(plain);
}

function placed(chunks: readonly ChunkDescription[]): { chunk: ChunkDescription; position: number }[] {
  let end = 0;
  return chunks.map((chunk) => {
    const position = end;
    end += chunk.bytes;
    return { chunk, position };
  });
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}
