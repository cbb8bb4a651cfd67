/** Everything in a store that a decision about deleting needs, read at one moment. */
import { forEachBounded } from "../bounded.js";
import { listCheckpoints } from "../manifest/catalog.js";
import { latestGeneration } from "../manifest/generation.js";
import { manifestKey } from "../manifest/keys.js";
import { chunkKeyOf, type Manifest, parseManifest } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { type Proof, readProofs } from "../proof/proof.js";
import type { HeldCheckpoint, RetentionFacts } from "../retention/retention.js";
import { readPins } from "./pin.js";
import { readTrash, type Trash } from "./trash.js";

export interface Survey extends RetentionFacts {
  /** By checkpoint, the keys of its chunks. */
  readonly chunks: ReadonlyMap<string, readonly string[]>;
  readonly proofs: ReadonlyMap<string, Proof>;
  readonly trash: readonly Trash[];
}

/** Manifests are small: latency is what there is to hide. */
const READS_AT_ONCE = 16;

/** Throws `checkpoint-damaged` for a manifest that cannot be read: what it needs is then unknown, so nothing may be deleted. */
export async function survey(objects: ObjectStore, cluster: string): Promise<Survey> {
  const nowMs = await objects.now(); // First: whatever appears after it is younger than all that is judged by it.
  const [trash, pinned, proofs] = [
    await readTrash(objects, cluster),
    await readPins(objects, cluster, nowMs),
    await readProofs(objects, cluster),
  ];
  const opened = await latestGeneration(objects, cluster);
  if (opened !== undefined && opened.manifestId !== null) {
    pinned.set(opened.manifestId, `generation ${opened.generation} began with it`);
  }
  const held: HeldCheckpoint[] = [];
  const chunks = new Map<string, readonly string[]>();
  await forEachBounded(await listCheckpoints(objects, cluster), READS_AT_ONCE, async ({ id, ...parts }) => {
    const manifest = await manifestOf(objects, cluster, id);
    if (manifest === undefined) return; // Deleted by another run while we looked.
    held.push({ id, ...parts, parent: manifest.parent });
    chunks.set(
      id,
      manifest.content.chunks.map((chunk) => chunkKeyOf(objects, cluster, chunk)),
    );
  });
  return { nowMs, trash, pinned, proofs, verified: new Set(proofs.keys()), held, chunks };
}

async function manifestOf(objects: ObjectStore, cluster: string, id: string): Promise<Manifest | undefined> {
  const bytes = await objects.get(manifestKey(cluster, id));
  return bytes === undefined ? undefined : parseManifest(cluster, id, bytes);
}
