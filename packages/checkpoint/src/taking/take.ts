/**
 * Takes a checkpoint, of an image or a delta: chunks first, the manifest last and create-only, then reads the manifest back.
 * Nothing is visible before the manifest is, so what was interrupted never looks like a checkpoint; two takers at
 * once do no harm.
 */
import { AppError, asAppError, messageOf } from "@patina/base";
import { UPLOAD_MS_MAX } from "../collection/grace.js";
import { manifestKey } from "../manifest/keys.js";
import type { ReadChunks } from "./chunking.js";
import { checkLimits, type CheckpointLimits, DEFAULT_LIMITS } from "../limits.js";
import { buildManifest, type CheckpointFacts, type Manifest, manifestBytes } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { ignoreProgress, type OnProgress } from "../progress.js";
import { uploadContent } from "./upload.js";

export interface TakeCheckpoint {
  readonly objects: ObjectStore;
  readonly cluster: string;
  /**
   * The content: for a base a finished, self-contained SQLite file that nobody writes (VACUUM INTO), node state
   * stripped; for the other levels a delta since the parent's holdings.
   */
  readonly path: string;
  readonly facts: CheckpointFacts;
  readonly limits?: Partial<CheckpointLimits>;
  /** Reads, hashes and packs somewhere else than in this thread and in Node's own pool, which all I/O shares. */
  readonly read?: ReadChunks;
  readonly onProgress?: OnProgress;
}

export async function takeCheckpoint(take: TakeCheckpoint): Promise<Manifest> {
  const { objects, cluster, path, facts, onProgress = ignoreProgress } = take;
  const limits = { ...DEFAULT_LIMITS, ...take.limits };
  checkLimits(limits);
  const beganMs = await objects.now();
  const content = await uploadContent({ objects, cluster, path, limits, read: take.read, onProgress });
  const manifest = buildManifest(cluster, facts, content);
  await refuseLate(objects, beganMs);
  onProgress({ phase: "publish", done: content.bytes, total: content.bytes });
  const key = manifestKey(cluster, manifest.id);
  await publish(objects, key, manifestBytes(manifest));
  // A machine may stand still between a look at the clock and the next request, for hours when it is a suspended one.
  await refuseLate(objects, beganMs).catch(async (late: unknown) => withdraw(objects, key, asAppError(late)));
  onProgress({ phase: "done", done: content.bytes, total: content.bytes });
  return manifest;
}

/** Throws what it is withdrawn for, also where the taker may delete nothing. */
async function withdraw(objects: ObjectStore, key: string, why: AppError): Promise<never> {
  try {
    await objects.delete(key);
  } catch (thrown) {
    throw new AppError(why.code, `${why.message}, and ${key} could not be withdrawn: ${messageOf(thrown)}`, {
      hint: `Delete ${key}: its data may be collected. Then take it again.`,
      details: { object: key },
    });
  }
  throw why;
}

/** What was found in the store when this began may since have been marked, and soon be swept: then it starts over. */
async function refuseLate(objects: ObjectStore, beganMs: number): Promise<void> {
  const tookMs = (await objects.now()) - beganMs;
  if (tookMs >= 0 && tookMs < UPLOAD_MS_MAX) return;
  throw new AppError("object-store-timeout", `the upload took ${tookMs / 1000} s by the clock of ${objects.url}`, {
    hint: `Take it again: what is there is found. An upload has ${UPLOAD_MS_MAX / 3_600_000} hours.`,
  });
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
