/** Which checkpoints a cluster has, and the manifest of one of them. */
import { AppError } from "@patina/base";
import { missing, damageError } from "./damage.js";
import { isManifestId, manifestIdOf, manifestKey, manifestPrefix } from "./keys.js";
import { type Manifest, parseManifest } from "./manifest.js";
import type { ObjectStore } from "./object-store.js";

export interface CatalogEntry {
  readonly id: string;
  readonly takenAtMs: number;
  /** Of the manifest, not of the image: listing reads no object. */
  readonly manifestBytes: number;
}

const NAMED_MAX = 5;

/** Oldest first. */
export async function listCheckpoints(objects: ObjectStore, cluster: string): Promise<CatalogEntry[]> {
  const found = await objects.list(manifestPrefix(cluster));
  return found.flatMap(({ key, bytes }) => {
    const id = manifestIdOf(key);
    return id === undefined ? [] : [{ id, takenAtMs: timeIn(id), manifestBytes: bytes }];
  });
}

/** `which` is an id or "latest". Throws `checkpoint-unknown` naming what exists, or `checkpoint-damaged`. */
export async function readManifest(objects: ObjectStore, cluster: string, which: string): Promise<Manifest> {
  const id = which === "latest" ? (await listCheckpoints(objects, cluster)).at(-1)?.id : which;
  if (id === undefined) throw await unknown(objects, cluster, which);
  const bytes = isManifestId(id) ? await objects.get(manifestKey(cluster, id)) : undefined;
  if (bytes !== undefined) return parseManifest(cluster, id, bytes);
  if (which === "latest") throw damageError(missing(manifestKey(cluster, id), "the manifest that was just listed"));
  throw await unknown(objects, cluster, which);
}

async function unknown(objects: ObjectStore, cluster: string, which: string): Promise<AppError> {
  const ids = (await listCheckpoints(objects, cluster)).map(({ id }) => id).reverse();
  const named = ids.slice(0, NAMED_MAX);
  const more = ids.length > named.length ? ` and ${ids.length - named.length} older` : "";
  const what = which === "latest" ? "any checkpoint" : `checkpoint ${which}`;
  const there = ids.length === 0 ? "there is none" : `there are ${named.join(", ")}${more}`;
  return new AppError("checkpoint-unknown", `${objects.url} does not hold ${what} of ${cluster}: ${there}`, {
    hint: ids.length === 0 ? "Take one: `patina checkpoint create`." : "Name one of these, or `latest`.",
    details: { checkpoints: named },
  });
}

/** `20261122T201345.123Z-…` */
function timeIn(id: string): number {
  return Date.parse(id.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d\.\d{3}Z).*/, "$1-$2-$3:$4:$5"));
}
