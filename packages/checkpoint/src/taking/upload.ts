/** Puts the chunks of an image or a delta into the store, each once, and describes it by them. */
import { stat } from "node:fs/promises";
import { AppError } from "@patina/base";
import { forEachBounded } from "../bounded.js";
import { type Chunk, decodeChunk, type PackedChunk, readChunks, type ReadChunks } from "./chunking.js";
import { condemnedObjects } from "../collection/trash.js";
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
 * Resumable: what an interrupted upload left is found and not sent again. What is being collected is not counted on: it goes
 * into an object of another name, because under its own it may be deleted at any moment.
 */
export async function uploadContent(upload: Upload): Promise<ContentDescription> {
  const { objects, cluster, path, limits, read = readChunks, onProgress } = upload;
  const total = (await stat(path)).size;
  const reader = read(path, limits.chunkBytes);
  const chunks: ChunkDescription[] = [];
  const condemned = await condemnedObjects(objects, cluster);
  const placeOf = (id: string): Place => placeFor(objects, cluster, id, condemned);
  let done = 0;
  await forEachBounded(reader, limits.concurrency, async (chunk) => {
    chunks[chunk.index] = await putChunk(objects, placeOf(chunk.id), chunk, await chunk.pack());
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

interface Place {
  readonly key: string;
  readonly copy: number;
}

/** The first object of this content that is not being collected. */
function placeFor(objects: ObjectStore, cluster: string, id: string, condemned: ReadonlySet<string>): Place {
  for (let copy = 0; ; copy++) {
    const key = chunkKey(cluster, objects.contentName(id), copy);
    if (!condemned.has(key)) return { key, copy };
  }
}

/**
 * An object that is there already is trusted by its size, which a cut-short write would get wrong; one of another
 * size may be of another compressor, so it is read and checked, and replaced when it is damaged: under its name only
 * this content is right, and older checkpoints that share it are healed as well.
 */
async function putChunk(
  objects: ObjectStore,
  { key, copy }: Place,
  { id, bytes }: Chunk,
  { stored, codec }: PackedChunk,
): Promise<ChunkDescription> {
  const described = { id, bytes, stored: stored.length, codec, ...(copy === 0 ? {} : { copy }) };
  const present = await objects.head(key);
  if (present?.bytes === stored.length) return described;
  if (present !== undefined) {
    const other = await describeStored(objects, key, described);
    if (other !== undefined) return other;
    await objects.delete(key);
  }
  if ((await objects.putIfAbsent(key, stored)) === "created") return described;
  // Another taker was faster. Its bytes may come from another compressor.
  return (await describeStored(objects, key, described)) ?? described;
}

/** The description under which the stored object proves to be the chunk, or undefined when it is damaged. */
async function describeStored(
  objects: ObjectStore,
  key: string,
  wanted: ChunkDescription,
): Promise<ChunkDescription | undefined> {
  const stored = await objects.get(key);
  if (stored === undefined) return undefined;
  for (const codec of ["brotli", "none"] as const) {
    const described: ChunkDescription = { ...wanted, codec, stored: stored.length };
    if ((await decodeChunk(key, described, stored)) instanceof Uint8Array) return described;
  }
  return undefined;
}
