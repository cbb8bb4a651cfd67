/** `patina checkpoint drill` and `info`: whether the checkpoints of a cluster can be restored, how old they are, and how long it takes. */
import type { Command } from "commander";
import pc from "picocolors";
import { listCheckpoints, type Manifest, type Proof, readChain, readProofs } from "@patina/checkpoint";
import { checkpointStoreOf } from "../fleet/checkpoint-store.js";
import type { Fleet } from "../fleet/fleet-file.js";
import { print, renderTable, seconds } from "../output.js";
import { agentOf, type ClusterFlags, clustersOf, lasting, notesOf, scoped } from "./checkpoint-clusters.js";
import { fleetOf } from "./options.js";

/** Longer than a restore of anything that fits a worker. */
const DRILL_TIMEOUT_MS = 3_600_000;

/** A document for programs: members are added, and none changes its meaning. */
interface Info {
  readonly cluster: string;
  readonly checkpoints: number;
  readonly newest: string | null;
  readonly ageSeconds: number | null;
  readonly verified: string | null;
  readonly verifiedAgeSeconds: number | null;
  /** What the newest drill of that base took: fetched, applied and checked. */
  readonly restoreSeconds: number | null;
  /** Plain and as stored, of the newest checkpoint and all that it stands on. */
  readonly bytes: number;
  readonly storedBytes: number;
  /** What the members know of and the store does not list; null when no member answers. */
  readonly lost: readonly string[] | null;
}

export function addCheckpointDrill(checkpoint: Command): void {
  scoped(
    checkpoint
      .command("drill")
      .description("have an agent restore one aside, and compare it with what was taken")
      .argument("[id]", "or a time", "latest"),
  ).action(drill);
  scoped(checkpoint.command("info").description("how old the newest are, and how long a restore takes")).action(info);
}

async function drill(id: string, options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const proofs: Proof[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    const client = await agentOf(fleet, cluster);
    const path = `/v1/checkpoints/${encodeURIComponent(id)}/drill`;
    proofs.push(await client.request<Proof>(path, { method: "POST", timeoutMs: DRILL_TIMEOUT_MS }));
  }
  print(options.output, proofs, () =>
    renderTable(
      ["cluster", "checkpoint", "restored in", "bytes", "rows", "compared with live rows"],
      proofs.map((it) => [it.cluster, it.checkpoint, pc.green(seconds(it.tookMs)), it.bytes, it.rows, it.sampled]),
    ),
  );
}

async function info(options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const infos: Info[] = [];
  for (const cluster of clustersOf(fleet, options)) infos.push(await infoOf(fleet, cluster));
  print(options.output, infos, () =>
    renderTable(
      ["cluster", "checkpoints", "newest", "age", "verified base", "age", "restores in", "bytes", "stored", "lost"],
      infos.map((it) => [
        it.cluster,
        it.checkpoints,
        it.newest,
        age(it.ageSeconds),
        it.verified,
        age(it.verifiedAgeSeconds),
        age(it.restoreSeconds),
        it.bytes,
        it.storedBytes,
        it.lost === null ? "no member answers" : it.lost.length === 0 ? "nothing" : pc.red(it.lost.join(", ")),
      ]),
    ),
  );
}

async function infoOf(fleet: Fleet, cluster: string): Promise<Info> {
  const objects = await checkpointStoreOf(fleet);
  const noted = await notesOf(fleet, cluster);
  const nowMs = await objects.now();
  const listed = await listCheckpoints(objects, cluster);
  const newest = listed.at(-1);
  const proofs = await readProofs(objects, cluster);
  const verified = listed.filter(({ id }) => proofs.has(id)).at(-1);
  const chain: readonly Manifest[] = newest === undefined ? [] : await readChain(objects, cluster, newest.id);
  const tookMs = verified === undefined ? undefined : proofs.get(verified.id)?.tookMs;
  const present = new Set(listed.map(({ id }) => id));
  const sum = (bytesOf: (it: Manifest["content"]) => number): number =>
    chain.reduce((total, { content }) => total + bytesOf(content), 0);
  return {
    cluster,
    checkpoints: listed.length,
    newest: newest?.id ?? null,
    ageSeconds: newest === undefined ? null : (nowMs - newest.takenAtMs) / 1000,
    verified: verified?.id ?? null,
    verifiedAgeSeconds: verified === undefined ? null : (nowMs - verified.takenAtMs) / 1000,
    restoreSeconds: tookMs === undefined ? null : tookMs / 1000,
    bytes: sum(({ bytes }) => bytes),
    storedBytes: sum(({ chunks }) => chunks.reduce((total, { stored }) => total + stored, 0)),
    lost: noted === undefined ? null : lasting(noted).filter((id) => !present.has(id)),
  };
}

function age(ageSeconds: number | null): string | null {
  return ageSeconds === null ? null : seconds(ageSeconds * 1000);
}
