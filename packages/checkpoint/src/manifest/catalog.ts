/** Which checkpoints a cluster has, and the manifest of one of them. */
import { AppError } from "@patina/base";
import { newestAt } from "./ahead.js";
import { damaged, missing, damageError } from "./damage.js";
import { type IdParts, isManifestId, manifestIdOf, manifestKey, manifestPrefix, partsOfId } from "./keys.js";
import { type Manifest, parseManifest } from "./manifest.js";
import type { ObjectStore } from "../object-store.js";

export interface CatalogEntry extends IdParts {
  readonly id: string;
  /** Of the manifest, not of the image: listing reads no object. */
  readonly manifestBytes: number;
}

const NAMED_MAX = 5;
const TIME = /^\d{4}-\d\d-\d\d/;
const ZONE = /(Z|[+-]\d\d:?\d\d)$/i;

/** No chain is longer: a longer level starts over long before. */
const CHAIN_MAX = 1000;

/** Oldest first, by generation and then by time. */
export async function listCheckpoints(objects: ObjectStore, cluster: string): Promise<CatalogEntry[]> {
  const found = await objects.list(manifestPrefix(cluster));
  return found.flatMap(({ key, bytes }) => {
    const id = manifestIdOf(key);
    const parts = id === undefined ? undefined : partsOfId(id);
    return id === undefined || parts === undefined ? [] : [{ id, ...parts, manifestBytes: bytes }];
  });
}

/**
 * `which` is an id, "latest", or a time with its zone such as `2026-11-22T20:13:45Z`, which means the newest checkpoint not
 * after it. Throws `checkpoint-unknown` naming what exists, `checkpoint-damaged`, and `bad-request` for a time without a zone.
 */
export async function readManifest(objects: ObjectStore, cluster: string, which: string): Promise<Manifest> {
  const atMs = timeOf(which);
  const isSought = which === "latest" || atMs !== undefined;
  const id = isSought ? await seek(objects, cluster, atMs) : which;
  if (id === undefined) throw await unknown(objects, cluster, which);
  const bytes = isManifestId(id) ? await objects.get(manifestKey(cluster, id)) : undefined;
  if (bytes !== undefined) return parseManifest(cluster, id, bytes);
  if (isSought) throw damageError(missing(manifestKey(cluster, id), "the manifest that was just listed"));
  throw await unknown(objects, cluster, which);
}

function timeOf(which: string): number | undefined {
  const atMs = TIME.test(which) ? Date.parse(which) : NaN;
  if (Number.isNaN(atMs)) return undefined;
  if (ZONE.test(which)) return atMs;
  throw new AppError("bad-request", `${which} does not say its time zone`, {
    hint: "Write it with one: `2026-11-22T20:13:45Z` for UTC, or `…+01:00`.",
  });
}

/** The newest by `atMs`, or by now. */
async function seek(objects: ObjectStore, cluster: string, atMs: number | undefined): Promise<string | undefined> {
  const listed = await listCheckpoints(objects, cluster);
  if (atMs === undefined) return newestAt(listed, await objects.now())?.id;
  return listed.findLast(({ takenAtMs }) => takenAtMs <= atMs)?.id;
}

/** The manifests to restore one after the other for a checkpoint: its base, and the deltas up to itself. */
export async function readChain(objects: ObjectStore, cluster: string, which: string): Promise<Manifest[]> {
  const chain = [await readManifest(objects, cluster, which)];
  for (let first = chain[0]; first !== undefined && first.parent !== null; first = chain[0]) {
    const key = manifestKey(cluster, first.id);
    const before = partsOfId(first.parent);
    const isEarlier = before !== undefined && before.takenAtMs <= first.takenAtMs && first.parent !== first.id;
    if (!isEarlier || chain.length > CHAIN_MAX) throw damageError(damaged(key, "an earlier parent", first.parent));
    const bytes = await objects.get(manifestKey(cluster, first.parent));
    if (bytes === undefined)
      throw damageError(missing(manifestKey(cluster, first.parent), `the parent of ${first.id}`));
    chain.unshift(parseManifest(cluster, first.parent, bytes));
  }
  return chain;
}

async function unknown(objects: ObjectStore, cluster: string, which: string): Promise<AppError> {
  const ids = (await listCheckpoints(objects, cluster)).map(({ id }) => id).reverse();
  const named = ids.slice(0, NAMED_MAX);
  const more = ids.length > named.length ? ` and ${ids.length - named.length} older` : "";
  const what = which === "latest" ? "any checkpoint" : `checkpoint ${which}`;
  const there = ids.length === 0 ? "there is none" : `there are ${named.join(", ")}${more}`;
  return new AppError("checkpoint-unknown", `${objects.url} does not hold ${what} of ${cluster}: ${there}`, {
    hint: ids.length === 0 ? "Take one: `patina checkpoint create`." : "Name one of these, a time, or `latest`.",
    details: { checkpoints: named },
  });
}
