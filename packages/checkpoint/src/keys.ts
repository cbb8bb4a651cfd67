/**
 * Where things lie in an object store. The layout is an interface: a checkpoint outlives the release that took it.
 *
 *     v1/<cluster>/m/<id>.json                     a manifest: publishing it is what makes a checkpoint exist
 *     v1/<cluster>/img/<first 2 of name>/<name>     a chunk of an image, named by its plain content (ObjectStore.contentName)
 *     v1/<cluster>/epochs/<10 digits>.json         the record that opened a generation
 */
import { AppError, assert } from "@patina/base";

const CLUSTER = /^[a-z0-9_][a-z0-9._-]{0,62}$/;
const MANIFEST_ID = /^\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{16}$/;

export function manifestPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}m/`;
}

export function manifestKey(cluster: string, id: string): string {
  return `${manifestPrefix(cluster)}${id}.json`;
}

/** The checkpoint a key names, or undefined when it is not a manifest's. */
export function manifestIdOf(key: string): string | undefined {
  const name = /\/m\/([^/]+)\.json$/.exec(key)?.[1];
  return name !== undefined && isManifestId(name) ? name : undefined;
}

export function isManifestId(text: string): boolean {
  return MANIFEST_ID.test(text);
}

export function chunkKey(cluster: string, contentName: string): string {
  return `${clusterPrefix(cluster)}img/${contentName.slice(0, 2)}/${contentName}`;
}

export function generationPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}epochs/`;
}

/** Padded, so that names sort as numbers do. */
export function generationKey(cluster: string, generation: number): string {
  assert(Number.isSafeInteger(generation) && generation >= 0 && generation < 1e10, "a generation has 10 digits");
  return `${generationPrefix(cluster)}${String(generation).padStart(10, "0")}.json`;
}

function clusterPrefix(cluster: string): string {
  if (CLUSTER.test(cluster)) return `v1/${cluster}/`;
  throw new AppError("object-store", `${JSON.stringify(cluster)} cannot name a cluster's checkpoints`, {
    hint: "Use lower-case letters, digits, dot, dash and underscore, 63 at most.",
  });
}
