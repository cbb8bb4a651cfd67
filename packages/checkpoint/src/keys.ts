/**
 * Where things lie in an object store. The layout is an interface: a checkpoint outlives the release that took it.
 *
 *     v1/<cluster>/m/<id>.json                     a manifest: publishing it is what makes a checkpoint exist
 *                                                  an id is g<generation>-<time>-<level>-<hash>: later ones sort last
 *     v1/<cluster>/img/<first 2 of name>/<name>     a chunk of an image or a delta, named by its plain content (ObjectStore.contentName)
 *     v1/<cluster>/claims/<generation>-<level>-<period>/<attempt>.json   who takes a period's checkpoint
 *     v1/<cluster>/epochs/<10 digits>.json         the record that opened a generation
 */
import { AppError, assert } from "@patina/base";

const CLUSTER = /^[a-z0-9_][a-z0-9._-]{0,62}$/;
const MANIFEST_ID = /^g(\d{6})-(\d{8}T\d{6}\.\d{3}Z)-(base|d[0-2])-[0-9a-f]{16}$/;

/** From the longest to the shortest: a delta of a level follows the newest checkpoint of that level or a longer one. */
export const LEVELS = ["base", "d2", "d1", "d0"] as const;
export type Level = (typeof LEVELS)[number];

/** What an id tells by itself. */
export interface IdParts {
  readonly generation: number;
  readonly takenAtMs: number;
  readonly level: Level;
}

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
  return partsOfId(text) !== undefined;
}

export function partsOfId(id: string): IdParts | undefined {
  const [, generation, time, level] = MANIFEST_ID.exec(id) ?? [];
  if (time === undefined) return undefined;
  const iso = time.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, "$1-$2-$3:$4:");
  return { generation: Number(generation), takenAtMs: Date.parse(iso), level: level as Level };
}

/** Ids sort by generation, then by time, and carry the hash of everything but themselves. */
export function manifestIdFor(facts: { generation: number; takenAtMs: number; level: string }, sha256: string): string {
  const { generation, takenAtMs, level } = facts;
  const isTime = Number.isSafeInteger(takenAtMs) && takenAtMs >= 0 && takenAtMs < Date.UTC(10_000, 0);
  const time = isTime ? new Date(takenAtMs).toISOString().replace(/[-:]/g, "") : "at-no-time";
  return `g${String(generation).padStart(6, "0")}-${time}-${level}-${sha256.slice(0, 16)}`;
}

export function chunkKey(cluster: string, contentName: string): string {
  return `${clusterPrefix(cluster)}img/${contentName.slice(0, 2)}/${contentName}`;
}

function claimPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}claims/`;
}

export function claimKey(
  cluster: string,
  { generation, level, period }: { generation: number; level: Level; period: number },
  attempt: number,
): string {
  return `${claimPrefix(cluster)}${generation}-${level}-${period}/${String(attempt).padStart(2, "0")}.json`;
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
