/**
 * The objects that hold a chunk. They are named by what it is, so whichever of them is whole will do: a checkpoint whose own
 * object was damaged comes back from the copy that a later one has written.
 */
import { damaged, type Finding, findingOf, missing } from "../manifest/damage.js";
import { STORED_BYTES_MAX } from "../limits.js";
import { chunkKey } from "../manifest/keys.js";
import { type ChunkDescription, chunkKeyOf } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { decodeChunk, type Unpack } from "./chunking.js";

export interface ChunkRead {
  /** Undefined when none of its objects is whole. */
  readonly plain?: Uint8Array;
  /** What is wrong with the object that the manifest names. */
  readonly finding?: Finding;
}

/** Throws for what is no damage: a store that does not answer. */
export async function readChunk(
  objects: ObjectStore,
  cluster: string,
  chunk: ChunkDescription,
  unpack?: Unpack,
): Promise<ChunkRead> {
  const key = chunkKeyOf(objects, cluster, chunk);
  const own = await readObject(objects, key, chunk, unpack);
  if (own instanceof Uint8Array) return { plain: own };
  for (const copy of await copiesOf(objects, cluster, chunk)) {
    const plain = copy === key ? undefined : (await wholeObject(objects, copy, chunk, unpack))?.plain;
    if (plain !== undefined) return { plain, finding: own };
  }
  return { finding: own };
}

/** Whether the object that the manifest names is there and of its size, or another of its content. */
export async function headChunk(
  objects: ObjectStore,
  cluster: string,
  chunk: ChunkDescription,
): Promise<Finding | undefined> {
  const key = chunkKeyOf(objects, cluster, chunk);
  const found = await objects.head(key);
  if (found?.bytes === chunk.stored) return undefined;
  for (const copy of await copiesOf(objects, cluster, chunk)) {
    if (copy !== key && (await objects.head(copy))?.bytes === chunk.stored) return undefined;
  }
  if (found === undefined) return missing(key, `${chunk.stored} bytes`);
  return damaged(key, `${chunk.stored} bytes`, `${found.bytes} bytes`);
}

/** The description under which an object proves to be the chunk, whatever packed it; undefined when it is damaged or gone. */
export async function wholeObject(
  objects: ObjectStore,
  key: string,
  wanted: ChunkDescription,
  unpack?: Unpack,
): Promise<{ readonly described: ChunkDescription; readonly plain: Uint8Array } | undefined> {
  const facts = await objects.head(key);
  if (facts === undefined || facts.bytes > STORED_BYTES_MAX) return undefined;
  const stored = await bytesOf(objects, key, wanted);
  if (!(stored instanceof Uint8Array)) return undefined;
  for (const codec of ["brotli", "none"] as const) {
    const described: ChunkDescription = { ...wanted, codec, stored: stored.length };
    const plain = await decodeChunk(key, described, stored, unpack);
    if (plain instanceof Uint8Array) return { described, plain };
  }
  return undefined;
}

async function readObject(
  objects: ObjectStore,
  key: string,
  chunk: ChunkDescription,
  unpack: Unpack | undefined,
): Promise<Uint8Array | Finding> {
  const stored = await bytesOf(objects, key, chunk);
  return stored instanceof Uint8Array ? decodeChunk(key, chunk, stored, unpack) : stored;
}

/** As stored, or what the store itself, or what seals it, finds wrong with them. */
async function bytesOf(objects: ObjectStore, key: string, chunk: ChunkDescription): Promise<Uint8Array | Finding> {
  try {
    return (await objects.get(key)) ?? missing(key, `${chunk.stored} bytes`);
  } catch (thrown) {
    return findingOf(thrown, key);
  }
}

async function copiesOf(objects: ObjectStore, cluster: string, { id }: ChunkDescription): Promise<string[]> {
  const first = chunkKey(cluster, objects.contentName(id));
  return (await objects.list(first)).map(({ key }) => key);
}
