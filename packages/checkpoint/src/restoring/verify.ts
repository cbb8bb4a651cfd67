/**
 * Whether a checkpoint could be restored now, with what it stands on: every object there and of its size, or read and hashed
 * to the last byte.
 */
import { forEachBounded } from "../bounded.js";
import { readChain } from "../manifest/catalog.js";
import { headChunk, readChunk } from "../taking/chunk-object.js";
import { type Finding, findingOf } from "../manifest/damage.js";
import { manifestKey } from "../manifest/keys.js";
import { DEFAULT_LIMITS } from "../limits.js";
import type { Manifest } from "../manifest/manifest.js";
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
  /** Sorted by object; empty means that the checkpoint can be restored whole. */
  readonly findings: readonly Finding[];
  /** What is not whole and has a copy that is: a restore takes the copy. Told only where all data is read. */
  readonly spared: readonly Finding[];
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
  if ("problem" in chain) return { objects: 1, findings: [chain], spared: [] };
  const chunks = new Map(
    chain.flatMap(({ content }) => content.chunks.map((chunk) => [`${chunk.id}.${chunk.copy}`, chunk])),
  );
  const total = [...chunks.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const [findings, spared]: [Finding[], Finding[]] = [[], []];
  let done = 0;
  await forEachBounded(chunks.values(), concurrency, async (chunk) => {
    const { plain, finding } = data
      ? await readChunk(objects, cluster, chunk)
      : { plain: undefined, finding: await headChunk(objects, cluster, chunk) };
    if (finding !== undefined) (plain === undefined ? findings : spared).push(finding);
    done += chunk.bytes;
    onProgress({ phase: "verify", done, total });
  });
  for (const found of [findings, spared]) found.sort((a, b) => (a.object < b.object ? -1 : 1));
  return { chain, objects: chunks.size + chain.length, findings, spared };
}

async function chainOrFinding(objects: ObjectStore, cluster: string, which: string): Promise<Manifest[] | Finding> {
  try {
    return await readChain(objects, cluster, which);
  } catch (error) {
    return findingOf(error, manifestKey(cluster, which));
  }
}
