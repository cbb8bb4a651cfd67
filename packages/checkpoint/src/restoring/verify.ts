/**
 * Whether a checkpoint could be restored now, with what it stands on: every object there and of its size, or read and hashed
 * to the last byte.
 */
import { forEachBounded } from "../bounded.js";
import { readChain } from "../manifest/catalog.js";
import { decodeChunk } from "../taking/chunking.js";
import { damaged, type Finding, findingOf, missing } from "../manifest/damage.js";
import { manifestKey } from "../manifest/keys.js";
import { DEFAULT_LIMITS } from "../limits.js";
import { type ChunkDescription, chunkKeyOf, type Manifest } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { ignoreProgress, type OnProgress } from "../progress.js";

export interface VerifyOptions {
  /** False asks the store for sizes only, which finds what is gone or cut short; true reads and hashes everything. */
  readonly data: boolean;
  readonly concurrency?: number;
}

export interface VerifyReport {
  /** The manifests to restore in order, its own last. Absent when one of them is damaged. */
  readonly chain?: readonly Manifest[];
  /** Objects looked at, the manifests included. */
  readonly objects: number;
  /** Sorted by object; empty means that the checkpoint is whole. */
  readonly findings: readonly Finding[];
}

/** Throws only for what is no damage: an unknown checkpoint, a store that does not answer. */
export async function verifyCheckpoint(
  objects: ObjectStore,
  cluster: string,
  which: string,
  { data, concurrency = DEFAULT_LIMITS.concurrency }: VerifyOptions,
  onProgress: OnProgress = ignoreProgress,
): Promise<VerifyReport> {
  const chain = await chainOrFinding(objects, cluster, which);
  if ("problem" in chain) return { objects: 1, findings: [chain] };
  const chunks = new Map(
    chain.flatMap(({ content }) => content.chunks.map((chunk) => [`${chunk.id}.${chunk.copy}`, chunk])),
  );
  const total = [...chunks.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const findings: Finding[] = [];
  let done = 0;
  await forEachBounded(chunks.values(), concurrency, async (chunk) => {
    const key = chunkKeyOf(objects, cluster, chunk);
    const finding = data ? await checkData(objects, key, chunk) : await checkSize(objects, key, chunk);
    if (finding !== undefined) findings.push(finding);
    done += chunk.bytes;
    onProgress({ phase: "verify", done, total });
  });
  findings.sort((a, b) => (a.object < b.object ? -1 : 1));
  return { chain, objects: chunks.size + chain.length, findings };
}

async function checkSize(objects: ObjectStore, key: string, chunk: ChunkDescription): Promise<Finding | undefined> {
  const found = await objects.head(key);
  if (found === undefined) return missing(key, `${chunk.stored} bytes`);
  return found.bytes === chunk.stored ? undefined : damaged(key, `${chunk.stored} bytes`, `${found.bytes} bytes`);
}

async function checkData(objects: ObjectStore, key: string, chunk: ChunkDescription): Promise<Finding | undefined> {
  try {
    const stored = await objects.get(key);
    if (stored === undefined) return missing(key, `${chunk.stored} bytes`);
    const plain = await decodeChunk(key, chunk, stored);
    return plain instanceof Uint8Array ? undefined : plain;
  } catch (error) {
    return findingOf(error, key);
  }
}

async function chainOrFinding(objects: ObjectStore, cluster: string, which: string): Promise<Manifest[] | Finding> {
  try {
    return await readChain(objects, cluster, which);
  } catch (error) {
    return findingOf(error, manifestKey(cluster, which));
  }
}
