/**
 * Chunks' objects that no taker may count on: those being collected, and those that were found damaged. A taker trusts what is
 * there by its size, so one damaged object would otherwise be in every later base; marked, its content goes into another object.
 */
import { canonicalBytes } from "../manifest/canonical-json.js";
import type { Finding } from "../manifest/damage.js";
import { chunkOfDamagedKey, damagedKey, damagedPrefix } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";
import { readTrash } from "./trash.js";

/** Marks the damaged ones for good; one that is missing needs no mark. */
export async function condemn(objects: ObjectStore, cluster: string, findings: readonly Finding[]): Promise<void> {
  for (const { object, problem } of findings) {
    const key = problem === "damaged" ? damagedKey(cluster, object) : undefined;
    if (key !== undefined) await objects.putIfAbsent(key, canonicalBytes({ fmt: 1 }));
  }
}

/** By key. Throws `checkpoint-damaged` for a trash list that cannot be read. */
export async function condemnedObjects(objects: ObjectStore, cluster: string): Promise<ReadonlySet<string>> {
  const lists = await readTrash(objects, cluster);
  const damaged = await objects.list(damagedPrefix(cluster));
  return new Set([
    ...lists.flatMap(({ objects: keys }) => [...keys]),
    ...damaged.map(({ key }) => chunkOfDamagedKey(cluster, key)),
  ]);
}

/** The keys of marks whose object was collected: what is put under its name from now on is another. */
export async function spentMarks(objects: ObjectStore, cluster: string): Promise<string[]> {
  const spent: string[] = [];
  for (const { key } of await objects.list(damagedPrefix(cluster))) {
    if ((await objects.head(chunkOfDamagedKey(cluster, key))) === undefined) spent.push(key);
  }
  return spent;
}
