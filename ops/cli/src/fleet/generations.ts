/** Opening a cluster's next generation: what makes a restore or a rollback happen, wherever its agents are. */
import { AppError } from "@patina/base";
import {
  type GenerationRecord,
  latestGeneration,
  type Manifest,
  type ObjectStore,
  openGeneration,
  verifyCheckpoint,
} from "@patina/checkpoint";
import { floorOf } from "@patina/process";

export interface NextGeneration {
  readonly cluster: string;
  /** What it begins from; undefined for a cluster that begins empty. */
  readonly manifest: Manifest | undefined;
  /** The generation that is running, as far as the caller knows. */
  readonly running?: number;
  readonly reason: string;
}

/** Of several operators one opens it, and the others throw `checkpoint-conflict`. */
export async function nextGeneration(objects: ObjectStore, next: NextGeneration): Promise<GenerationRecord> {
  const { cluster, manifest, running = 1, reason } = next;
  const newest = await latestGeneration(objects, cluster);
  const parent = Math.max(newest?.generation ?? 0, manifest?.generation ?? 0, running);
  const nowMs = Math.floor(await objects.now());
  return openGeneration(objects, cluster, {
    generation: parent + 1,
    parent,
    reason,
    manifestId: manifest?.id,
    floor: String(manifest === undefined ? 0n : floorOf(manifest, nowMs)),
    atMs: nowMs,
    by: `patina ${reason}`,
  });
}

/** Reads every byte of a checkpoint and what it stands on. Throws `checkpoint-damaged` before anything is touched. */
export async function refuseDamaged(objects: ObjectStore, { cluster, id }: Manifest): Promise<void> {
  const { findings } = await verifyCheckpoint(objects, cluster, id, { data: true });
  const [first] = findings;
  if (first === undefined) return;
  const message = `${first.object} is ${first.problem}: expected ${first.expected}, got ${first.got}`;
  throw new AppError("checkpoint-damaged", message, {
    hint: "Nothing was touched. `patina checkpoint list` shows what else there is.",
    details: { object: first.object, findings: findings.length },
  });
}
