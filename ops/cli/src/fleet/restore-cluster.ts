/**
 * Brings a region, or the global tier, back from a checkpoint: a new generation, opened create-only so that two operators
 * cannot both do it. Data directories on this machine are built aside, checked and moved into place here and now; agents
 * elsewhere do the same by themselves when they start. Members of the old generation that turn up later are refused by all.
 */
import { existsSync, readdirSync } from "node:fs";
import { AppError, must } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import { type GenerationRecord, type Manifest, type ObjectStore, type OnProgress, readChain } from "@patina/checkpoint";
import { beginFrom } from "@patina/process";
import { DataDir } from "@patina/runtime";
import { checkpointStoreOf } from "./checkpoint-store.js";
import { agentsOfCluster, type Fleet } from "./fleet-file.js";
import { nextGeneration, refuseDamaged } from "./generations.js";

export interface RestoreCluster {
  readonly fleet: Fleet;
  /** A region, or `global`. */
  readonly cluster: string;
  /** A checkpoint's id, a time, or `latest`. */
  readonly from: string;
  /** Whether directories that hold something may be moved to quarantine. */
  readonly replace: boolean;
  readonly onProgress: (agent: string, ...progress: Parameters<OnProgress>) => void;
  /** Told of what is done besides. */
  readonly say: (message: string) => void;
}

export interface RestoredCluster {
  readonly cluster: string;
  readonly checkpoint: string;
  readonly generation: number;
  readonly digest: string;
  readonly agents: readonly { readonly agent: string; readonly quarantine: string | null }[];
  /** Whether the agents were started again; without a running supervisor that is the operator's to do. */
  readonly started: boolean;
}

/** What a restore would do. */
export interface RestorePlan {
  readonly cluster: string;
  readonly checkpoint: string;
  readonly takenAt: string;
  /** A base and the deltas after it. */
  readonly checkpoints: number;
  readonly bytes: number;
  /** To fetch from the object store, an agent. */
  readonly storedBytes: number;
  /** Of its base. */
  readonly rows: Readonly<Record<string, number>>;
  /** What was written in the last so many seconds is not in it. */
  readonly lostSeconds: number;
  /** The generation that would be opened. */
  readonly generation: number;
}

interface LocalDir {
  readonly name: string;
  readonly dir: string;
}

export async function planRestore(objects: ObjectStore, cluster: string, from: string): Promise<RestorePlan> {
  const chain = await readChain(objects, cluster, from);
  const newest = must(chain.at(-1), "a checkpoint");
  const chunks = chain.flatMap(({ content }) => content.chunks);
  return {
    cluster,
    checkpoint: newest.id,
    takenAt: new Date(newest.takenAtMs).toISOString(),
    checkpoints: chain.length,
    bytes: chunks.reduce((sum, { bytes }) => sum + bytes, 0),
    storedBytes: chunks.reduce((sum, { stored }) => sum + stored, 0),
    rows: Object.fromEntries(Object.entries(chain[0]?.tables ?? {}).map(([table, { rows }]) => [table, rows ?? 0])),
    lostSeconds: Math.max(0, Math.round(((await objects.now()) - newest.takenAtMs) / 1000)),
    generation: newest.generation + 1,
  };
}

/**
 * Checks every byte of the checkpoint before it touches anything. A failure after that names the directory, and leaves
 * each data directory as it was or restored; running it again goes on.
 */
export async function restoreCluster(restore: RestoreCluster): Promise<RestoredCluster> {
  const { fleet, cluster, from, replace } = restore;
  const dirs = localDirs(fleet, cluster);
  const objects = await checkpointStoreOf(fleet);
  const chain = await readChain(objects, cluster, from);
  const manifest = must(chain.at(-1), "a checkpoint");
  await refuseDamaged(objects, manifest);
  if (!replace) for (const { dir } of dirs) refuseNonEmpty(dir);

  const control = await runningControl(fleet);
  await control?.request(`/clusters/${cluster}/stop`, { method: "POST", timeoutMs: 60_000 });
  try {
    for (const { dir } of dirs) DataDir.assertUnused(dir);
    const opened = await nextGeneration(objects, { cluster, manifest, reason: "restore" });
    const agents = await restoreDirs(restore, { objects, chain, opened, dirs });
    const { id: checkpoint, digest } = manifest;
    return { cluster, checkpoint, generation: opened.generation, digest, agents, started: control !== undefined };
  } finally {
    await control?.request(`/clusters/${cluster}/start`, { method: "POST", timeoutMs: 120_000 });
  }
}

async function restoreDirs(
  { onProgress, say }: RestoreCluster,
  parts: {
    readonly objects: ObjectStore;
    readonly chain: readonly Manifest[];
    readonly opened: GenerationRecord;
    readonly dirs: readonly LocalDir[];
  },
): Promise<RestoredCluster["agents"]> {
  const { dirs, ...from } = parts;
  const restored: RestoredCluster["agents"][number][] = [];
  for (const { name, dir } of dirs) {
    const quarantine = await beginFrom({
      ...from,
      fence: from.chain.at(-1),
      nodeDir: dir,
      say: (message, details) => say(`${name}: ${message} ${JSON.stringify(details)}`),
      onProgress: (progress) => onProgress(name, progress),
    });
    restored.push({ agent: name, quarantine: quarantine ?? null });
  }
  return restored;
}

/** Where the fleet file says that data is, on this machine. Agents without a directory restore themselves. */
function localDirs(fleet: Fleet, cluster: string): LocalDir[] {
  return agentsOfCluster(fleet, cluster).flatMap(({ name, node_dir: dir }) =>
    dir === undefined ? [] : [{ name, dir }],
  );
}

function refuseNonEmpty(dir: string): void {
  const content = existsSync(dir) ? readdirSync(dir).filter((name) => name !== "lock") : [];
  if (content.length === 0) return;
  throw new AppError("data-dir-not-empty", `${dir} holds data`, {
    hint: "Add --replace to move it aside (it is kept, under another name) and restore in its place.",
  });
}

/** The supervisor of a local fleet, when it runs. */
async function runningControl({ control }: Fleet): Promise<PatinaClient | undefined> {
  if (control === undefined) return undefined;
  const client = new PatinaClient(control);
  const answers = await client.request("/agents", { timeoutMs: 1000 }).then(
    () => true,
    () => false,
  );
  return answers ? client : undefined;
}
