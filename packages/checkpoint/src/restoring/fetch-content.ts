/** Brings the image or the delta of a checkpoint back as a file, and proves that it is the one that was taken. */
import { constants, type FileHandle, open } from "node:fs/promises";
import { must } from "@patina/base";
import { forEachBounded } from "../bounded.js";
import { sha256Hex } from "../manifest/canonical-json.js";
import { readChunk } from "../taking/chunk-object.js";
import { hashFile, type Unpack } from "../taking/chunking.js";
import { damaged, damageError } from "../manifest/damage.js";
import { manifestKey } from "../manifest/keys.js";
import { DEFAULT_LIMITS } from "../limits.js";
import type { ChunkDescription, Manifest } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { ignoreProgress, type OnProgress } from "../progress.js";

export interface FetchOptions {
  readonly onProgress?: OnProgress;
  readonly unpack?: Unpack | undefined;
}

/**
 * Writes the content to `toPath` and flushes it. Chunks that are there already, of an attempt that was interrupted, are kept.
 * Every chunk is checked as it arrives and the whole as it lies on disk; the first that does not match is thrown as
 * `checkpoint-damaged`, and what was written by then is the caller's to discard.
 */
export async function fetchContent(
  objects: ObjectStore,
  manifest: Manifest,
  toPath: string,
  { onProgress = ignoreProgress, unpack }: FetchOptions = {},
): Promise<void> {
  const { cluster, content } = manifest;
  const total = content.bytes;
  const file = await open(toPath, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    let done = 0;
    const present = (await file.stat()).size;
    await forEachBounded(placed(content.chunks), DEFAULT_LIMITS.concurrency, async ({ chunk, position }) => {
      if (position + chunk.bytes > present || !(await isThere(file, chunk, position))) {
        await writeAll(file, await fetchChunk(objects, cluster, chunk, unpack), position);
        // Left to the kernel, it all goes to the disk at once, and whoever waits for a write of his own stands behind it.
        await file.datasync();
      }
      done += chunk.bytes;
      onProgress({ phase: "fetch", done, total });
    });
    await file.truncate(total);
    await file.sync();
  } finally {
    await file.close();
  }
  onProgress({ phase: "check", done: total, total });
  const got = await hashFile(toPath);
  if (got === content.sha256) return;
  throw damageError(damaged(manifestKey(cluster, manifest.id), `content of sha256 ${content.sha256}`, `sha256 ${got}`));
}

async function isThere(file: FileHandle, { id, bytes }: ChunkDescription, position: number): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(bytes), 0, bytes, position);
  return bytesRead === bytes && sha256Hex(buffer) === id;
}

async function fetchChunk(
  objects: ObjectStore,
  cluster: string,
  chunk: ChunkDescription,
  unpack: Unpack | undefined,
): Promise<Uint8Array> {
  const { plain, finding } = await readChunk(objects, cluster, chunk, unpack);
  if (plain !== undefined) return plain;
  throw damageError(must(finding, "what is wrong with the chunk"));
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
