/**
 * Where things lie in an object store. The layout is an interface: a checkpoint outlives the release that took it.
 *
 *     v1/<cluster>/m/<id>.json                     a manifest: publishing it is what makes a checkpoint exist
 *                                                  an id is g<generation>-<time>-<level>-<hash>: later ones sort last
 *     v1/<cluster>/img/<first 2 of name>/<name>     a chunk of an image or a delta, named by its plain content (ObjectStore.contentName)
 *                                                  <name>.<copy>: anew, while the one before is being collected
 *     v1/<cluster>/damaged/<first 2 of name>/<name>.json   that chunk's object is not whole, and is not to be counted on
 *     v1/<cluster>/claims/<generation>-<work>-<period>/<attempt>.json   who does a period's work
 *     v1/<cluster>/epochs/<10 digits>.json         the record that opened a generation
 *     v1/<cluster>/v/<id of a base>/<time>-<node>.json   a drill that restored it
 *     v1/<cluster>/pins/<id>/<n>.json               a restore of it is under way
 *     v1/<cluster>/trash/<time>-<by>.json           what is to be deleted a day later
 */
import { AppError, assert } from "@patina/base";

const CLUSTER = /^[a-z0-9_][a-z0-9._-]{0,62}$/;
const MANIFEST_ID = /^g(\d{6})-(\d{8}T\d{6}\.\d{3}Z)-(base|d[0-2])-[0-9a-f]{16}$/;

/** From the longest to the shortest: a delta of a level follows the newest checkpoint of that level or a longer one. */
export const LEVELS = ["base", "d2", "d1", "d0"] as const;
export type Level = (typeof LEVELS)[number];

/** What members take in turns: the checkpoints, and the chores about them. */
export type Work = Level | "drill" | "prune";

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
  return `g${String(generation).padStart(6, "0")}-${idTime(takenAtMs)}-${level}-${sha256.slice(0, 16)}`;
}

function idTime(atMs: number): string {
  const isTime = Number.isSafeInteger(atMs) && atMs >= 0 && atMs < Date.UTC(10_000, 0);
  return isTime ? new Date(atMs).toISOString().replace(/[-:]/g, "") : "at-no-time";
}

export function chunkPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}img/`;
}

/** `copy` tells apart objects of one content, of which the earlier ones are being collected. */
export function chunkKey(cluster: string, contentName: string, copy = 0): string {
  const name = copy === 0 ? contentName : `${contentName}.${copy}`;
  return `${chunkPrefix(cluster)}${contentName.slice(0, 2)}/${name}`;
}

export function damagedPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}damaged/`;
}

/** The mark about a chunk's object, or undefined when the key is not of one. */
export function damagedKey(cluster: string, key: string): string | undefined {
  const prefix = chunkPrefix(cluster);
  return key.startsWith(prefix) ? `${damagedPrefix(cluster)}${key.slice(prefix.length)}.json` : undefined;
}

/** The chunk's object that a mark is about. */
export function chunkOfDamagedKey(cluster: string, key: string): string {
  return chunkPrefix(cluster) + key.slice(damagedPrefix(cluster).length).replace(/\.json$/, "");
}

export function trashPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}trash/`;
}

export function trashKey(cluster: string, atMs: number, by: string): string {
  return `${trashPrefix(cluster)}${idTime(atMs)}-${by}.json`;
}

export function pinPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}pins/`;
}

export function pinKey(cluster: string, id: string, n: number): string {
  return `${pinPrefix(cluster)}${id}/${String(n).padStart(4, "0")}.json`;
}

export function proofPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}v/`;
}

export function proofKey(cluster: string, base: string, { atMs, node }: { atMs: number; node: string }): string {
  return `${proofPrefix(cluster)}${base}/${idTime(atMs)}-${node}.json`;
}

/** The checkpoint that a pin or a proof is about: the folder it lies in. */
export function checkpointOfKey(key: string): string | undefined {
  const folder = key.split("/").at(-2);
  return folder !== undefined && isManifestId(folder) ? folder : undefined;
}

export function claimPrefix(cluster: string): string {
  return `${clusterPrefix(cluster)}claims/`;
}

export function claimKey(
  cluster: string,
  { generation, work, period }: { generation: number; work: Work; period: number },
  attempt: number,
): string {
  return `${claimPrefix(cluster)}${generation}-${work}-${period}/${String(attempt).padStart(2, "0")}.json`;
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
