/** Puts the chunks of an image or a delta into the store, each once, and describes it by them. */
import { stat } from "node:fs/promises";
import { AppError } from "@patina/base";
import { forEachBounded } from "../bounded.js";
import { condemnedObjects } from "../collection/condemn.js";
import { wholeObject } from "./chunk-object.js";
import { type Chunk, type PackedChunk, readChunks, type ReadChunks } from "./chunking.js";
import { chunkKey } from "../manifest/keys.js";
import type { CheckpointLimits } from "../limits.js";
import type { ChunkDescription, ContentDescription } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import type { OnProgress } from "../progress.js";

export interface Upload {
  readonly objects: ObjectStore;
  readonly cluster: string;
  readonly path: string;
  readonly limits: CheckpointLimits;
  readonly read?: ReadChunks | undefined;
  readonly onProgress: OnProgress;
}

/**
 * Resumable: what an interrupted upload left is found and not sent again. What is being collected, or was found damaged, is not
 * counted on: it goes into an object of another name.
 */
export async function uploadContent(upload: Upload): Promise<ContentDescription> {
  const { objects, cluster, path, limits, read = readChunks, onProgress } = upload;
  const total = (await stat(path)).size;
  const reader = read(path, limits.chunkBytes);
  const chunks: ChunkDescription[] = [];
  const condemned = await condemnedObjects(objects, cluster);
  let done = 0;
  await forEachBounded(reader, limits.concurrency, async (chunk) => {
    chunks[chunk.index] = await putChunk({ objects, cluster, condemned }, chunk, await chunk.pack());
    done += chunk.bytes;
    onProgress({ phase: "upload", done, total });
  });
  if (done !== total) {
    throw new AppError("store-failed", `${path} changed while it was read: ${total} bytes became ${done}`, {
      hint: "Checkpoint a finished copy (VACUUM INTO), never a database in use.",
    });
  }
  return { bytes: total, sha256: reader.sha256(), chunks };
}

/**
 * Into the first object of this content that is not condemned and proves whole. One that is there already is trusted by its size,
 * which a cut-short write would get wrong; one of another size may be of another compressor, so it is read and checked.
 */
async function putChunk(
  { objects, cluster, condemned }: { objects: ObjectStore; cluster: string; condemned: ReadonlySet<string> },
  { id, bytes }: Chunk,
  { stored, codec }: PackedChunk,
): Promise<ChunkDescription> {
  for (let copy = 0; ; copy++) {
    const key = chunkKey(cluster, objects.contentName(id), copy);
    if (condemned.has(key)) continue;
    const described = { id, bytes, stored: stored.length, codec, ...(copy === 0 ? {} : { copy }) };
    const present = await objects.head(key);
    if (present?.bytes === stored.length) return described;
    if (present === undefined && (await objects.putIfAbsent(key, stored)) === "created") return described;
    const whole = await wholeObject(objects, key, described); // Else it is damaged, and older checkpoints may go on naming it.
    if (whole !== undefined) return whole.described;
  }
}
