/**
 * Puts a checkpoint in the place of a data directory. Everything is built and checked aside, on the same file system,
 * and moved in by rename, so that a kill at any step leaves the old state or the new one:
 *
 *   <dir>.restore-<id>     being built                        a kill here: the old state; the next restore goes on with it
 *   <dir>.restored-<id>    whole, checked and flushed         a kill here: the old state, still in place
 *   <dir>.<quarantine>     the old directory, moved away      a kill here: `completeRestore` moves the new one in
 *   <dir>                  the new state
 *   <dir>.anew             what `setAside` puts in its place: a kill before that is ended by `completeRestore` as well
 *
 * The directory itself must not be a mount point, because a mount point cannot be renamed.
 */
import { copyFile, readdir, rename, stat, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { AppError, asAppError, messageOf, must } from "@patina/base";
import { whilePinned } from "../collection/pin.js";
import { exists, isErrno, makeDirectory, removeTree, syncPath, syncTree, unlessAbsent } from "./durable-file.js";
import { fetchContent } from "./fetch-content.js";
import { assertRoom } from "./room.js";
import type { Unpack } from "../taking/chunking.js";
import { isManifestId } from "../manifest/keys.js";
import type { Manifest } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { ignoreProgress, type OnProgress } from "../progress.js";

/** The database's name in a data directory. */
export const DATABASE_FILE = "state.db";

/** What the caller may have put there to keep agents out; no data. */
const LOCK_FILE = "lock";
/** Marks a directory being built whose image is no longer what was fetched. */
const ALTERED = "altered";
const BUILDING = ".restore-";
const READY = ".restored-";
const ANEW = ".anew";

export interface RestoreDataDir {
  readonly objects: ObjectStore;
  /** The base, and the deltas after it, in order. */
  readonly chain: readonly Manifest[];
  /** The caller holds its lock: no agent runs on it. */
  readonly dataDir: string;
  /** Whether a directory with something in it may be moved to quarantine. */
  readonly replace: boolean;
  /**
   * The caller's checks on the restored image, with the deltas to apply to it, and its rewrite of identities. It may put other files beside it (the
   * node's identity, for one), and must leave the database closed. What it throws ends the restore, nothing changed.
   */
  readonly prepare: (imagePath: string, deltas: readonly FetchedDelta[]) => Promise<void>;
  /** What the old directory is called from then on: `<dataDir>.<quarantineName>`. */
  readonly quarantineName: string;
  /** Whether what a killed restore of this checkpoint has put in place is what this one is to put there; left out, it is. */
  readonly isDone?: (imagePath: string) => boolean;
  readonly onProgress?: OnProgress;
  /** Unpacks somewhere else than in Node's own pool of threads. */
  readonly unpack?: Unpack;
}

export interface FetchedDelta {
  readonly path: string;
  readonly manifest: Manifest;
}

export interface Restored {
  /** Where the old state went, if there was any. */
  readonly quarantine: string | undefined;
}

/** The checkpoint is pinned meanwhile, so that collection leaves it alone. Throws `disk-full` before anything is fetched. */
export async function restoreDataDir(restore: RestoreDataDir): Promise<Restored> {
  const { id, cluster } = must(restore.chain.at(-1), "a checkpoint to restore");
  return whilePinned(restore.objects, cluster, id, () => restoreWhole(restore));
}

async function restoreWhole(restore: RestoreDataDir): Promise<Restored> {
  const { chain, replace, isDone = () => true, onProgress = ignoreProgress } = restore;
  const manifest = must(chain.at(-1), "a checkpoint to restore");
  const dataDir = resolve(restore.dataDir);
  const quarantine = `${dataDir}.${restore.quarantineName}`;
  const total = chainBytes(chain);
  const tell = (phase: "prepare" | "sync" | "quarantine" | "publish" | "done"): void =>
    onProgress({ phase, done: total, total });

  const completed = await completeRestore(dataDir);
  if (completed === manifest.id && isDone(join(dataDir, DATABASE_FILE)))
    return { quarantine: await pathIfThere(quarantine) };
  await refuseUnlessFree(dataDir, quarantine, replace);
  const building = `${dataDir}${BUILDING}${manifest.id}`;
  const ready = `${dataDir}${READY}${manifest.id}`;
  await discardLeftovers(dataDir, building);
  await assertRoom(building, total - (await bytesIn(building)));
  await makeDirectory(building);
  await build(restore, building, tell);
  await refuseUnlessFree(dataDir, quarantine, replace);
  await move(building, ready);
  tell("quarantine");
  const isOld = (await namesIn(dataDir)).length > 0;
  if (isOld) await move(dataDir, quarantine);
  tell("publish");
  await move(ready, dataDir);
  tell("done");
  return { quarantine: isOld ? quarantine : undefined };
}

/**
 * Finishes a restore, or a setting aside, that was killed after the old directory had moved away: call it before anything is
 * put into a data directory, or an agent would take the gap for a fresh start. Answers the checkpoint it put in place, if any.
 */
export async function completeRestore(dataDir: string): Promise<string | undefined> {
  const place = resolve(dataDir);
  if ((await namesIn(place)).length > 0) return undefined;
  const id = (await leftovers(place, READY)).at(-1);
  if (id !== undefined) await move(`${place}${READY}${id}`, place);
  else if (await exists(place + ANEW)) await move(place + ANEW, place);
  return id;
}

/** Moves a data directory away and leaves one in its place with nothing but copies of the files to keep; answers where it went. */
export async function setAside(dataDir: string, quarantineName: string, keep: readonly string[]): Promise<string> {
  const place = resolve(dataDir);
  const quarantine = `${place}.${quarantineName}`;
  await refuseUnlessFree(place, quarantine, true);
  await removeTree(place + ANEW); // What was begun and not ended.
  await makeDirectory(place + ANEW);
  for (const name of keep) await unlessAbsent(copyFile(join(place, name), join(place + ANEW, name)));
  await syncTree(place + ANEW);
  await move(place, quarantine);
  await move(place + ANEW, place);
  return quarantine;
}

async function refuseUnlessFree(dataDir: string, quarantine: string, replace: boolean): Promise<void> {
  const present = (await namesIn(dataDir)).filter((name) => name !== LOCK_FILE);
  if (present.length === 0) return;
  if (!replace) {
    throw new AppError("data-dir-not-empty", `${dataDir} holds data (${present.slice(0, 5).join(", ")})`, {
      hint: `Restore into an empty directory, or with --replace, which moves it to ${quarantine}.`,
      details: { directory: dataDir },
    });
  }
  if (await exists(quarantine)) {
    throw new AppError("data-dir-not-empty", `${quarantine} is taken, so ${dataDir} cannot move there`, {
      hint: "Move or delete the older quarantine.",
      details: { directory: quarantine },
    });
  }
}

/**
 * Fetches everything before anything is altered, so that what an interrupted restore has fetched is found and not fetched
 * again. Once the image is being altered there is nothing to go on with.
 */
async function build(
  restore: RestoreDataDir,
  building: string,
  tell: (phase: "prepare" | "sync") => void,
): Promise<void> {
  const { prepare } = restore;
  const image = join(building, DATABASE_FILE);
  if (await exists(join(building, ALTERED))) {
    await removeTree(building);
    await makeDirectory(building);
  }
  try {
    const deltas = await fetchChain(restore, building);
    tell("prepare");
    await writeFile(join(building, ALTERED), "");
    await prepare(image, deltas);
    for (const { path } of deltas) await unlink(path);
    await unlink(join(building, ALTERED));
    tell("sync");
    await syncTree(building);
  } catch (thrown) {
    const error = asAppError(thrown, "store-failed");
    const isToContinue = error.code !== "checkpoint-damaged" && !(await exists(join(building, ALTERED)));
    if (!isToContinue) await removeTree(building);
    throw error;
  }
}

/** Writes the base in the database's place and the deltas beside it. */
async function fetchChain(restore: RestoreDataDir, building: string): Promise<FetchedDelta[]> {
  const { objects, chain, unpack, onProgress: tell = ignoreProgress } = restore;
  const total = chainBytes(chain);
  const deltas: FetchedDelta[] = [];
  let before = 0;
  for (const [index, manifest] of chain.entries()) {
    const path = join(building, index === 0 ? DATABASE_FILE : `delta-${index}`);
    const done = before;
    const onProgress: OnProgress = (at) => tell({ phase: at.phase, done: done + at.done, total });
    await fetchContent(objects, manifest, path, { onProgress, unpack });
    if (index > 0) deltas.push({ path, manifest });
    before += manifest.content.bytes;
  }
  return deltas;
}

/** Of the image and the deltas, unpacked. */
export function chainBytes(chain: readonly Manifest[]): number {
  return chain.reduce((sum, { content }) => sum + content.bytes, 0);
}

async function discardLeftovers(dataDir: string, but: string): Promise<void> {
  for (const infix of [BUILDING, READY]) {
    for (const id of await leftovers(dataDir, infix)) {
      const path = `${dataDir}${infix}${id}`;
      if (path !== but) await removeTree(path);
    }
  }
}

/** The checkpoints of which an earlier restore left a directory aside, oldest first. */
async function leftovers(dataDir: string, infix: string): Promise<string[]> {
  const start = basename(dataDir) + infix;
  const ids = (await namesIn(dirname(dataDir)))
    .filter((name) => name.startsWith(start))
    .map((name) => name.slice(start.length));
  return ids.filter(isManifestId).sort();
}

/** Of the files in it; what is not there has none. */
async function bytesIn(directory: string): Promise<number> {
  const sizes = (await namesIn(directory)).map(async (name) => (await stat(join(directory, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function namesIn(directory: string): Promise<string[]> {
  return (await unlessAbsent(readdir(directory))) ?? [];
}

async function pathIfThere(path: string): Promise<string | undefined> {
  return (await exists(path)) ? path : undefined;
}

/** Renames, and flushes the directory both names are in, so that the steps reach the disk in order. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
    await syncPath(dirname(to));
  } catch (error) {
    const isMount = isErrno(error, "EBUSY", "EXDEV");
    throw new AppError("store-failed", `cannot move ${from} to ${to}: ${messageOf(error)}`, {
      cause: error,
      ...(isMount ? { hint: "Let the data directory be a directory inside the mounted volume, not the volume." } : {}),
    });
  }
}
