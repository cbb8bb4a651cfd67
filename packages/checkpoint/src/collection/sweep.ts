/**
 * The second phase of collection: deletes what was marked a day ago and is still needed by nobody. Manifests go first, the newest
 * before what it is applied after, and data after them: so a kill at any point leaves whole checkpoints, and data at most that
 * the next run marks.
 */
import { AppError } from "@patina/base";
import { chunkPrefix, claimPrefix, manifestKey, pinPrefix, proofPrefix, checkpointOfKey } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";
import type { Retention } from "../retention/retention.js";
import { spentMarks } from "./condemn.js";
import { CLAIMS_FOR_MS, GRACE_MS, PIN_FOR_MS, SWEEP_MS_MAX, SWEEP_UNTIL_MS, TRASH_FOR_MS } from "./grace.js";
import type { Survey } from "./survey.js";

export interface Swept {
  readonly manifests: number;
  readonly objects: number;
  /** As stored. */
  readonly bytes: number;
}

/** Deletes between two looks at the clock. */
const DELETES_A_LOOK = 100;

export async function sweep(
  objects: ObjectStore,
  cluster: string,
  { found, retention }: { readonly found: Survey; readonly retention: Retention },
): Promise<Swept> {
  const { nowMs, trash } = found;
  const age = (atMs: number): number => nowMs - atMs;
  const due = trash.filter(({ markedAtMs: at }) => age(at) >= GRACE_MS && age(at) < SWEEP_UNTIL_MS);
  const remove = remover(objects, nowMs);
  const gone = retention.go.filter(({ id }) => due.some(({ manifests }) => manifests.has(id)));
  for (const { id } of gone) await remove(manifestKey(cluster, id));
  const data = due.length === 0 ? [] : await unneeded(objects, cluster, found, new Set(gone.map(({ id }) => id)));
  const isDue = (key: string, modifiedAtMs: number): boolean =>
    due.some((list) => list.objects.has(key) && modifiedAtMs <= list.markedAtMs);
  const swept = data.filter(({ key, modifiedAtMs }) => isDue(key, modifiedAtMs));
  for (const { key } of swept) await remove(key);
  await removeAged(objects, cluster, found, remove);
  return { manifests: gone.length, objects: swept.length, bytes: swept.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** What no manifest that stays refers to. */
async function unneeded(
  objects: ObjectStore,
  cluster: string,
  { chunks }: Survey,
  gone: ReadonlySet<string>,
): ReturnType<ObjectStore["list"]> {
  const needed = new Set([...chunks].flatMap(([id, keys]) => (gone.has(id) ? [] : keys)));
  return (await objects.list(chunkPrefix(cluster))).filter(({ key }) => !needed.has(key));
}

/** What nothing refers to, and what is of no use once it is old enough. */
async function removeAged(
  objects: ObjectStore,
  cluster: string,
  { nowMs, trash, held }: Survey,
  remove: (key: string) => Promise<void>,
): Promise<void> {
  const aged = async (prefix: string, forMs: number): Promise<string[]> =>
    (await objects.list(prefix)).flatMap(({ key, modifiedAtMs }) => (nowMs - modifiedAtMs > forMs ? [key] : []));
  const isHeld = new Set(held.map(({ id }) => id));
  const proofs = (await aged(proofPrefix(cluster), GRACE_MS)).filter((key) => !isHeld.has(checkpointOfKey(key) ?? ""));
  const lists = trash.flatMap(({ key, markedAtMs }) => (nowMs - markedAtMs > TRASH_FOR_MS ? [key] : []));
  const claims = await aged(claimPrefix(cluster), CLAIMS_FOR_MS);
  const pins = await aged(pinPrefix(cluster), PIN_FOR_MS);
  for (const key of [...claims, ...pins, ...proofs, ...lists, ...(await spentMarks(objects, cluster))])
    await remove(key);
}

/** Stops in time: a run that was frozen for long must not wake up and delete what has been written anew since. */
function remover(objects: ObjectStore, beganMs: number): (key: string) => Promise<void> {
  let deletes = 0;
  return async (key) => {
    if (deletes++ % DELETES_A_LOOK === 0 && (await objects.now()) - beganMs > SWEEP_MS_MAX) {
      throw new AppError("object-store-timeout", `a sweep of ${objects.url} took too long and has given up`, {
        hint: "The next run goes on with it.",
      });
    }
    await objects.delete(key);
  };
}
