/**
 * Takes a checkpoint of an image: chunks first, the manifest last and create-only, then reads the manifest back.
 * Nothing is visible before the manifest is, so what was interrupted never looks like a checkpoint; two takers at
 * once do no harm.
 */
import { AppError } from "@patina/base";
import { manifestKey } from "./keys.js";
import { checkLimits, type CheckpointLimits, DEFAULT_LIMITS } from "./limits.js";
import { buildManifest, type CheckpointFacts, type Manifest, manifestBytes } from "./manifest.js";
import type { ObjectStore } from "./object-store.js";
import { ignoreProgress, type OnProgress } from "./progress.js";
import { uploadImage } from "./upload.js";

export interface TakeCheckpoint {
  readonly objects: ObjectStore;
  readonly cluster: string;
  /** A finished, self-contained SQLite file that nobody writes (VACUUM INTO), node state stripped. */
  readonly imagePath: string;
  readonly facts: CheckpointFacts;
  readonly limits?: Partial<CheckpointLimits>;
  readonly onProgress?: OnProgress;
}

export async function takeCheckpoint(take: TakeCheckpoint): Promise<Manifest> {
  const { objects, cluster, imagePath, facts, onProgress = ignoreProgress } = take;
  const limits = { ...DEFAULT_LIMITS, ...take.limits };
  checkLimits(limits);
  const image = await uploadImage({ objects, cluster, imagePath, limits, onProgress });
  const manifest = buildManifest(cluster, facts, image);
  onProgress({ phase: "publish", done: image.bytes, total: image.bytes });
  await publish(objects, manifestKey(cluster, manifest.id), manifestBytes(manifest));
  onProgress({ phase: "done", done: image.bytes, total: image.bytes });
  return manifest;
}

/** "exists" with the same bytes is this very manifest, after an acknowledgement that was lost. */
async function publish(objects: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await objects.putIfAbsent(key, bytes);
  const stored = await objects.get(key);
  if (stored !== undefined && Buffer.from(stored).equals(bytes)) return;
  const got = stored === undefined ? "nothing" : `${stored.length} other bytes`;
  throw new AppError(
    "object-store",
    `${objects.url} answers ${key} with ${got} instead of the ${bytes.length} written`,
    {
      hint: "Do not rely on this store: it loses or alters what it acknowledged.",
      details: { object: key, store: objects.url },
    },
  );
}
