/** The first phase of collection: writes down what nobody needs any more. Deletes nothing. */
import { chunkPrefix } from "../manifest/keys.js";
import type { ObjectStore, StoredObject } from "../object-store.js";
import type { Retention } from "../retention/retention.js";
import { GRACE_MS, MARKED_MAX, SWEEP_UNTIL_MS } from "./grace.js";
import type { Survey } from "./survey.js";
import { type Marked, writeTrash } from "./trash.js";

/** Answers what it marked, over and above what is marked already. */
export async function mark(
  objects: ObjectStore,
  cluster: string,
  { found, retention, by }: { readonly found: Survey; readonly retention: Retention; readonly by: string },
): Promise<Marked> {
  const { nowMs, trash, chunks } = found;
  const waiting = trash.filter(({ markedAtMs }) => nowMs - markedAtMs < SWEEP_UNTIL_MS);
  // What was put anew under a name that was swept is another object, and no list speaks of it.
  const isMarked = ({ key, modifiedAtMs }: StoredObject): boolean =>
    waiting.some((list) => list.objects.has(key) && modifiedAtMs <= list.markedAtMs);
  const needed = new Set(retention.keep.flatMap(({ id }) => chunks.get(id) ?? []));
  const unneeded = (await objects.list(chunkPrefix(cluster))).filter(
    (it) => !needed.has(it.key) && nowMs - it.modifiedAtMs >= GRACE_MS && !isMarked(it),
  );
  const going = retention.go.map(({ id }) => id);
  const marked = {
    manifests: going.filter((id) => !waiting.some(({ manifests }) => manifests.has(id))),
    objects: unneeded.map(({ key }) => key).slice(0, MARKED_MAX),
  };
  const isAny = marked.manifests.length + marked.objects.length > 0;
  if (isAny) await writeTrash(objects, cluster, marked, { atMs: nowMs, by });
  return marked;
}
