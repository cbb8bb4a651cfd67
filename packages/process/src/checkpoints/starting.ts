/**
 * What an agent does about its data directory before it opens it: a node without data, and one whose data is of a generation
 * that was rolled back, begins from the newest checkpoint, or from the one that the present generation began with. So a lost
 * node, a lost region, a rolled-back region and a straggler all come back the same way: by starting.
 *
 * The old directory moves aside whole, with a file of all that it has beyond the checkpoint of the rollback.
 */
import { copyFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError, messageOf, must } from "@patina/base";
import {
  chainBytes,
  completeRestore,
  DATABASE_FILE,
  type GenerationRecord,
  latestGeneration,
  listCheckpoints,
  type Manifest,
  manifestHoldings,
  newestAt,
  type ObjectStore,
  type OnProgress,
  readChain,
  readManifest,
  restoreDataDir,
  setAside,
} from "@patina/checkpoint";
import { DataDir } from "@patina/runtime";
import { generationIn, salvage } from "@patina/store";
import { adoptChain } from "./adopt-chain.js";

export interface Start {
  readonly objects: ObjectStore | undefined;
  readonly cluster: string;
  readonly nodeDir: string;
  /** Whether a node without data begins from a checkpoint. */
  readonly bootstrap: boolean;
  /** Told what is being done, and why. */
  readonly say: (message: string, details: Readonly<Record<string, string | number>>) => void;
}

/**
 * Deletions are remembered for longer than this, so a copy that is no older learns of every one since from its peers.
 * (`collectAfterMs` of the agent.)
 */
const BEGINNING_AGE_MAX_MS = 3_600_000;

/** Files of a node's own, which outlive its data. */
const OWN_FILES = ["node.json", "peers.json"];

const FIRST_GENERATION = 1;

/**
 * Answers the generation that a node without data is to begin. Throws `data-dir-in-use`, `disk-full`, `checkpoint-damaged`, and
 * whatever else a person must look at. With the store out of reach it says so, and the node starts with what it has: members
 * of another generation refuse it.
 */
export async function prepareDataDir(start: Start): Promise<number> {
  const { objects, cluster, nodeDir, say } = start;
  await completeRestore(nodeDir); // A restore that was killed between its two renames ends here.
  if (objects === undefined) return FIRST_GENERATION;
  DataDir.assertUnused(nodeDir);
  const present = generationIn(join(nodeDir, DATABASE_FILE));
  try {
    const opened = await latestGeneration(objects, cluster);
    if (present === undefined) await beginFromCheckpoint(start, objects, opened);
    else if (opened !== undefined && opened.generation > present) await beginAnew(start, objects, opened, present);
    return opened?.generation ?? FIRST_GENERATION;
  } catch (thrown) {
    const isOutOfReach = thrown instanceof AppError && thrown.code.startsWith("object-store");
    if (!isOutOfReach) throw thrown;
    const begins = present === undefined ? "starts empty" : `starts with generation ${present}, as it is`;
    say(`checkpoints cannot be read, and this node ${begins}`, { code: thrown.code, reason: thrown.message });
    return FIRST_GENERATION;
  }
}

/** A lost node, or one of a lost region, whose generation an operator may have opened. */
async function beginFromCheckpoint(
  start: Start,
  objects: ObjectStore,
  opened: GenerationRecord | undefined,
): Promise<void> {
  try {
    const beginning = await beginningOf(start, objects, opened);
    if (beginning !== undefined) await beginFrom({ ...start, objects, ...beginning });
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "checkpoint-damaged") throw thrown;
    const { code, message, details } = thrown;
    const hint = "With peers that are up, start it with `bootstrap = false` under [checkpoint]: they have it all. Else restore another checkpoint: `patina checkpoint verify` says which are whole."; // prettier-ignore
    throw new AppError(code, message, { hint, details, cause: thrown });
  }
}

/** One that slept through a rollback, whose data must not be used: what it has beyond the record's checkpoint is written out. */
async function beginAnew(start: Start, objects: ObjectStore, opened: GenerationRecord, present: number): Promise<void> {
  const { cluster, nodeDir, say } = start;
  say("this node's data is of a generation that is over", { present, now: opened.generation, reason: opened.reason });
  const fence = opened.manifestId === null ? undefined : await readManifest(objects, cluster, opened.manifestId);
  const beginning = await beginningOf(start, objects, opened);
  if (beginning !== undefined) {
    await beginFrom({ ...start, objects, ...beginning, fence });
    return;
  }
  if (fence !== undefined) salvageInto(nodeDir, fence, say);
  const quarantine = await setAside(nodeDir, quarantineNameIn(nodeDir, opened.generation), OWN_FILES);
  say("this node begins empty, and what was there was moved aside", { quarantine });
}

/**
 * The newest checkpoint of the generation, or the one that it began with, for as long as every deletion since then is remembered:
 * in what is older, rows come back that the others have deleted and forgotten. Else nothing, and the peers have it all.
 *
 * Where nobody has taken a checkpoint since, the generation was opened and not yet begun, however long ago.
 */
async function beginningOf(
  { cluster, bootstrap }: Start,
  objects: ObjectStore,
  opened: GenerationRecord | undefined,
): Promise<Pick<BeginFrom, "chain" | "opened"> | undefined> {
  const nowMs = await objects.now();
  const isYoung = (atMs: number): boolean => Math.abs(nowMs - atMs) <= BEGINNING_AGE_MAX_MS;
  const listed = await listCheckpoints(objects, cluster);
  const own = listed.filter(({ generation }) => generation >= (opened?.generation ?? 0));
  const newest = newestAt(own, nowMs);
  if (bootstrap && newest !== undefined && isYoung(newest.takenAtMs)) {
    return { chain: await readChain(objects, cluster, newest.id) };
  }
  if (opened === undefined || opened.manifestId === null) return undefined;
  if (own.length > 0 && !isYoung(opened.atMs)) return undefined;
  return { chain: await readChain(objects, cluster, opened.manifestId), opened };
}

export interface BeginFrom extends Pick<Start, "nodeDir" | "say"> {
  readonly objects: ObjectStore;
  readonly chain: readonly Manifest[];
  /** The generation that it begins; left out to join the one the checkpoint was taken in. */
  readonly opened?: GenerationRecord;
  /** What the old directory has beyond it is written out. */
  readonly fence?: Manifest | undefined;
  readonly onProgress?: OnProgress;
}

/**
 * Puts a checkpoint in the place of a data directory, whose own files stay. Answers where the old directory went, if there was
 * one, in which `salvage.ndjson` holds what it had beyond the checkpoint.
 */
export async function beginFrom(begin: BeginFrom): Promise<string | undefined> {
  const { objects, nodeDir, chain, opened, fence, say, onProgress } = begin;
  const newest = must(chain.at(-1), "a checkpoint");
  const generation = opened?.generation ?? newest.generation;
  const bytes = chainBytes(chain);
  say("this node begins from a checkpoint", { checkpoint: newest.id, generation, bytes });
  const { quarantine } = await restoreDataDir({
    objects,
    chain,
    dataDir: nodeDir,
    replace: true,
    quarantineName: quarantineNameIn(nodeDir, generation),
    isDone: (image) => generationIn(image) === generation,
    prepare: async (image, deltas) => {
      adoptChain(image, chain, deltas, opened);
      await keepOwnFiles(nodeDir, dirname(image));
      if (fence !== undefined) salvageInto(nodeDir, fence, say);
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  if (quarantine !== undefined) say("what was there was moved aside", { quarantine });
  return quarantine;
}

/** A second restore into one generation, after data was lost again, finds the first name taken. */
function quarantineNameIn(nodeDir: string, generation: number): string {
  const name = `replaced-by-generation-${generation}`;
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`;
    if (!existsSync(`${nodeDir}.${candidate}`)) return candidate;
  }
}

async function keepOwnFiles(from: string, to: string): Promise<void> {
  for (const name of OWN_FILES) if (existsSync(join(from, name))) await copyFile(join(from, name), join(to, name));
}

/** Into the directory that is about to move aside, and anew: a restore that failed before, or was killed, may have left less. */
function salvageInto(nodeDir: string, since: Manifest, say: Start["say"]): void {
  const database = join(nodeDir, DATABASE_FILE);
  const path = join(nodeDir, "salvage.ndjson");
  if (!existsSync(database)) return;
  try {
    const rows = salvage(database, manifestHoldings(since), path);
    say("what the checkpoint does not have was written out", { rows, file: "salvage.ndjson" });
  } catch (thrown) {
    // The database itself is kept: that it cannot be read must not keep the region from coming back.
    say("what the checkpoint does not have could not be written out", { reason: messageOf(thrown) });
  }
}
