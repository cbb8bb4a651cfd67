/**
 * Takes a running cluster back to a checkpoint, or to nothing. The operator opens a generation; every member reads its record,
 * puts its own data aside with a file of what it had beyond the checkpoint, and begins anew. One that is away does so when it
 * returns: until then nobody listens to it.
 */
import { AppError, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import { type Manifest, readManifest } from "@patina/checkpoint";
import { checkpointStoreOf } from "./checkpoint-store.js";
import { agentsOfCluster, type Fleet, type FleetAgent } from "./fleet-file.js";
import { nextGeneration, refuseDamaged } from "./generations.js";
import { anyOf } from "./reach.js";

export interface Rollback {
  readonly fleet: Fleet;
  /** A region, or `global`. */
  readonly cluster: string;
  /** A checkpoint's id, a time, or `latest`; undefined to begin empty. */
  readonly to: string | undefined;
  readonly reason: string;
  readonly say: (message: string) => void;
}

export interface RollbackPlan {
  readonly cluster: string;
  readonly checkpoint: string | null;
  readonly takenAt: string | null;
  /** By table, how many rows will be as they were, as one member sees it. */
  readonly rows: Readonly<Record<string, number>>;
}

export interface RolledBack extends RollbackPlan {
  readonly generation: number;
  readonly agents: readonly { readonly agent: string; readonly state: "begun anew" | "unreachable" }[];
}

const BEGUN_WITHIN_MS = 300_000;
const POLL_MS = 250;

interface DigestReport {
  readonly cluster: { readonly generation: number };
}

export async function planRollback({ fleet, cluster, to }: Rollback): Promise<RollbackPlan> {
  if (to === undefined) return { cluster, checkpoint: null, takenAt: null, rows: {} };
  const manifest = await readManifest(await checkpointStoreOf(fleet), cluster, to);
  const client = await anyOf(agentsOfCluster(fleet, cluster), cluster);
  const { rows } = await client.request<{ rows: Record<string, number> }>(`/v1/checkpoints/${manifest.id}/beyond`, {
    timeoutMs: 120_000,
  });
  return { cluster, checkpoint: manifest.id, takenAt: new Date(manifest.takenAtMs).toISOString(), rows };
}

/** Throws `checkpoint-damaged` and `region-unreachable` before anything is touched, `checkpoint-conflict` beside another. */
export async function rollBack(rollback: Rollback): Promise<RolledBack> {
  const { fleet, cluster, reason, say } = rollback;
  const objects = await checkpointStoreOf(fleet);
  const plan = await planRollback(rollback);
  // What was planned with: `latest` may be another one by now.
  const { checkpoint } = plan;
  const manifest: Manifest | undefined =
    checkpoint === null ? undefined : await readManifest(objects, cluster, checkpoint);
  if (manifest !== undefined) await refuseDamaged(objects, manifest);
  const agents = agentsOfCluster(fleet, cluster);
  const before = await (await anyOf(agents, cluster)).request<DigestReport>("/v1/digest");
  const opened = await nextGeneration(objects, { cluster, manifest, running: before.cluster.generation, reason });
  const { generation } = opened;
  say(`generation ${generation} of ${cluster} is open`);
  const reached = await Promise.all(agents.map(async (agent) => ({ agent, isReached: await tell(agent, say) })));
  await Promise.all(reached.flatMap(({ agent, isReached }) => (isReached ? [begun(agent, generation)] : [])));
  return {
    ...plan,
    generation,
    agents: reached.map(({ agent, isReached }) => ({
      agent: agent.name,
      state: isReached ? ("begun anew" as const) : ("unreachable" as const),
    })),
  };
}

/** One that cannot be reached notices by itself. */
async function tell({ name, api }: FleetAgent, say: (message: string) => void): Promise<boolean> {
  try {
    await new PatinaClient(api).request("/v1/generation/check", { method: "POST", timeoutMs: 10_000 });
    return true;
  } catch (thrown) {
    say(`${name} cannot be told, and will notice when it returns: ${messageOf(thrown)}`);
    return false;
  }
}

/** Waits until the agent is ready in the generation. Whether all are equal, `patina verify` says. */
async function begun({ name, api }: FleetAgent, generation: number): Promise<void> {
  const client = new PatinaClient(api, { timeoutMs: 2000 });
  for (let waitedMs = 0; waitedMs < BEGUN_WITHIN_MS; waitedMs += POLL_MS) {
    const ready = await client.request<{ ready: boolean }>("/readyz", { accept: [503] }).catch(() => undefined);
    const report =
      ready?.ready === true ? await client.request<DigestReport>("/v1/digest").catch(() => undefined) : undefined;
    if (report !== undefined && report.cluster.generation >= generation) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new AppError("agent-unreachable", `${name} has not begun generation ${generation}`, {
    hint: "Its log says why. It goes on by itself once that is mended and it is started.",
  });
}
