/** Trash lists: what a run of collection has marked, and will be deleted a day later unless something speaks for it by then. */
import { messageOf } from "@patina/base";
import { z } from "zod";
import { canonicalBytes } from "../manifest/canonical-json.js";
import { damaged, damageError } from "../manifest/damage.js";
import { trashKey, trashPrefix } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";

const trashSchema = z.object({
  fmt: z.literal(1),
  cluster: z.string(),
  /** Checkpoints, by id. */
  manifests: z.array(z.string()),
  /** Chunks, by key. */
  objects: z.array(z.string()),
});

export interface Trash {
  readonly key: string;
  readonly markedAtMs: number;
  readonly manifests: ReadonlySet<string>;
  readonly objects: ReadonlySet<string>;
}

export interface Marked {
  readonly manifests: readonly string[];
  readonly objects: readonly string[];
}

/** `by` tells apart two runs of one moment. */
export async function writeTrash(
  objects: ObjectStore,
  cluster: string,
  { manifests, objects: keys }: Marked,
  { atMs, by }: { readonly atMs: number; readonly by: string },
): Promise<void> {
  const record = { fmt: 1, cluster, manifests, objects: keys };
  await objects.putIfAbsent(trashKey(cluster, atMs, by), canonicalBytes(record));
}

/** All lists there are, the oldest first. Throws `checkpoint-damaged` for one that cannot be read. */
export async function readTrash(objects: ObjectStore, cluster: string): Promise<Trash[]> {
  const lists: Trash[] = [];
  for (const { key, modifiedAtMs } of await objects.list(trashPrefix(cluster))) {
    const bytes = await objects.get(key);
    if (bytes === undefined) continue; // Its time was over while we looked, and with it everybody's who could sweep it.
    const { manifests, objects: keys } = parse(key, bytes);
    lists.push({ key, markedAtMs: modifiedAtMs, manifests: new Set(manifests), objects: new Set(keys) });
  }
  return lists;
}

function parse(key: string, bytes: Uint8Array): z.infer<typeof trashSchema> {
  try {
    return trashSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw damageError(damaged(key, "a trash list", messageOf(error)));
  }
}
