/**
 * Brings a region back from a checkpoint: a new generation, opened create-only so that two operators cannot both do it,
 * and every data directory of the region built aside, checked and moved into place. Members of the old generation that
 * turn up later are refused by all.
 */
import { existsSync, readdirSync } from "node:fs";
import { AppError, must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import {
  type GenerationRecord,
  latestGeneration,
  type Manifest,
  type ObjectStore,
  type OnProgress,
  openGeneration,
  readChain,
  restoreDataDir,
  verifyCheckpoint,
} from "@patina/checkpoint";
import { adoptChain, floorOf } from "@patina/process";
import { DataDir } from "@patina/runtime";
import { checkpointStoreOf } from "./checkpoint-store.js";
import { agentsOf, type Fleet, type FleetAgent } from "./fleet-file.js";

export interface RestoreRegion {
  readonly fleet: Fleet;
  readonly region: string;
  /** A checkpoint's id, or `latest`. */
  readonly from: string;
  /** Whether directories that hold something may be moved to quarantine. */
  readonly replace: boolean;
  readonly onProgress: (agent: string, ...progress: Parameters<OnProgress>) => void;
}

export interface RestoredRegion {
  readonly region: string;
  readonly checkpoint: string;
  readonly generation: number;
  readonly digest: string;
  readonly agents: readonly { readonly agent: string; readonly quarantine: string | null }[];
  /** Whether the agents were started again; without a running supervisor that is the operator's to do. */
  readonly started: boolean;
}

/**
 * Checks every byte of the checkpoint before it touches anything. A failure after that names the directory, and leaves
 * each data directory as it was or restored; running it again goes on.
 */
export async function restoreRegion(restore: RestoreRegion): Promise<RestoredRegion> {
  const { fleet, region, from, replace } = restore;
  const dirs = agentsOf(fleet, region).map(nodeDirOf);
  const objects = await checkpointStoreOf(fleet);
  const chain = await readChain(objects, region, from);
  const manifest = must(chain.at(-1), "a checkpoint");
  await refuseDamaged(objects, region, manifest);
  if (!replace) dirs.forEach(refuseNonEmpty);

  const control = await runningControl(fleet);
  await control?.request(`/regions/${region}/stop`, { method: "POST", timeoutMs: 60_000 });
  try {
    for (const dir of dirs) DataDir.assertUnused(dir);
    const opened = await nextGeneration(objects, region, manifest);
    const agents = await restoreAgents(restore, chain, opened);
    const { id: checkpoint, digest } = manifest;
    return { region, checkpoint, generation: opened.generation, digest, agents, started: control !== undefined };
  } finally {
    await control?.request(`/regions/${region}/start`, { method: "POST", timeoutMs: 120_000 });
  }
}

async function restoreAgents(
  { fleet, region, replace, onProgress }: RestoreRegion,
  chain: readonly Manifest[],
  opened: GenerationRecord,
): Promise<RestoredRegion["agents"]> {
  const objects = await checkpointStoreOf(fleet);
  const restored: RestoredRegion["agents"][number][] = [];
  for (const agent of agentsOf(fleet, region)) {
    const { quarantine } = await restoreDataDir({
      objects,
      chain,
      dataDir: nodeDirOf(agent),
      replace,
      quarantineName: `replaced-by-generation-${opened.generation}`,
      prepare: async (image, deltas) => adoptChain(image, chain, deltas, opened),
      onProgress: (progress) => onProgress(agent.name, progress),
    });
    restored.push({ agent: agent.name, quarantine: quarantine ?? null });
  }
  return restored;
}

async function refuseDamaged(objects: ObjectStore, region: string, { id }: Manifest): Promise<void> {
  const { findings } = await verifyCheckpoint(objects, region, id, { data: true });
  const [first] = findings;
  if (first === undefined) return;
  const message = `${first.object} is ${first.problem}: expected ${first.expected}, got ${first.got}`;
  throw new AppError("checkpoint-damaged", message, {
    hint: "Nothing was touched. `patina checkpoint list` shows what else there is.",
    details: { object: first.object, findings: findings.length },
  });
}

async function nextGeneration(objects: ObjectStore, region: string, manifest: Manifest): Promise<GenerationRecord> {
  const newest = await latestGeneration(objects, region);
  const parent = Math.max(newest?.generation ?? 0, manifest.generation);
  const nowMs = await objects.now();
  return openGeneration(objects, region, {
    generation: parent + 1,
    parent,
    reason: "region restore",
    manifestId: manifest.id,
    floor: String(floorOf(manifest, nowMs)),
    atMs: Math.floor(nowMs),
    by: "patina region restore",
  });
}

function nodeDirOf({ name, node_dir: dir }: FleetAgent): string {
  if (dir !== undefined) return dir;
  throw new AppError("config-invalid", `the fleet file does not say where ${name} keeps its data`, {
    hint: 'Add "node_dir" to the agent, and run this on the machine that has the directory.',
  });
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
