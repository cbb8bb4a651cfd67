/** `patina checkpoint create|list|show|verify`, and what is in the files beside this one. Taking one needs an agent; reading them needs only the object store. */
import type { Command } from "commander";
import pc from "picocolors";
import { AppError } from "@patina/base";
import {
  type CatalogEntry,
  type Finding,
  listCheckpoints,
  type Manifest,
  partsOfId,
  readManifest,
  verifyCheckpoint,
  type VerifyReport,
} from "@patina/checkpoint";
import { systemNow } from "@patina/runtime";
import { EXIT } from "../exit-status.js";
import { checkpointStoreOf } from "../fleet/checkpoint-store.js";
import type { Fleet } from "../fleet/fleet-file.js";
import { note, type OutputFormat, print, renderTable, seconds } from "../output.js";
import { agentOf, type ClusterFlags, clustersOf, lasting, notesOf, scoped } from "./checkpoint-clusters.js";
import { addCheckpointDoctor } from "./checkpoint-doctor.js";
import { addCheckpointDrill } from "./checkpoint-drill.js";
import { addCheckpointKeys } from "./checkpoint-keys.js";
import { addCheckpointPrune } from "./checkpoint-prune.js";
import { fleetOf } from "./options.js";

export function addCheckpoint(program: Command): void {
  const checkpoint = program.command("checkpoint").description("checkpoints in object storage");
  scoped(checkpoint.command("create").description("take one now")).action(create);
  scoped(checkpoint.command("list").description("those there are")).action(list);
  scoped(checkpoint.command("show").description("one manifest").argument("<id>", "or `latest`")).action(show);
  scoped(
    checkpoint
      .command("verify")
      .description("read it back and check every byte")
      .argument("[id]", "or a time", "latest"),
  )
    .option("--quick", "check that every object is there, and what the members know of, without reading it")
    .action(verify);
  addCheckpointDrill(checkpoint);
  addCheckpointPrune(checkpoint);
  addCheckpointDoctor(checkpoint);
  addCheckpointKeys(checkpoint);
}

async function create(options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const taken: Manifest[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    const client = await agentOf(fleet, cluster);
    const began = systemNow().monotonicMs;
    taken.push(await client.request<Manifest>("/v1/checkpoints", { method: "POST", timeoutMs: 600_000 }));
    note(pc.dim(`${cluster}: ${seconds(systemNow().monotonicMs - began)}`));
  }
  print(options.output, taken, () =>
    renderTable(["cluster", "id", "rows", "bytes", "stored", "digest"], taken.map(manifestRow)),
  );
}

async function list(options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const objects = await checkpointStoreOf(fleet);
  const entries: ({ cluster: string } & CatalogEntry)[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    for (const entry of await listCheckpoints(objects, cluster)) entries.push({ cluster, ...entry });
  }
  print(options.output, entries, () =>
    renderTable(
      ["cluster", "id", "taken"],
      entries.map(({ cluster, id, takenAtMs }) => [cluster, id, new Date(takenAtMs).toISOString()]),
    ),
  );
}

async function show(id: string, options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const { manifest } = await find(fleet, id, options);
  print(options.output, manifest, () => {
    const tables = renderTable(
      ["table", "rows", "digest"],
      Object.entries(manifest.tables).map(([table, { rows, digest }]) => [table, rows, digest.slice(0, 16)]),
    );
    return `${renderTable(["cluster", "id", "rows", "bytes", "stored", "digest"], [manifestRow(manifest)])}\n${tables}`;
  });
}

async function verify(id: string, options: ClusterFlags & { quick?: boolean }): Promise<void> {
  const fleet = fleetOf(options);
  const objects = await checkpointStoreOf(fleet);
  // One checkpoint is one cluster's; the latest, or that of a time, each cluster has its own.
  const isOne = partsOfId(id) !== undefined;
  const clusters = isOne ? [(await find(fleet, id, options)).cluster] : clustersOf(fleet, options);
  const reports = [];
  for (const cluster of clusters) {
    const lost = options.quick === true ? await lostOf(fleet, cluster) : [];
    const ask = async (): Promise<VerifyReport> =>
      verifyCheckpoint(objects, cluster, id, { data: options.quick !== true });
    const found =
      lost.length > 0
        ? { objects: 0, findings: lost, spared: [] }
        : await (clusters.length > 1 ? orMissing(id, ask) : ask());
    reports.push({ cluster, ...found });
  }
  printFindings(options.output, id, reports);
}

/** Of several clusters, one that has no such checkpoint must not keep the others from being told of. */
async function orMissing(id: string, ask: () => Promise<VerifyReport>): Promise<VerifyReport> {
  try {
    return await ask();
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "checkpoint-unknown") throw thrown;
    const finding: Finding = { object: id, problem: "missing", expected: "a checkpoint", got: "none" };
    return { objects: 0, findings: [finding], spared: [] };
  }
}

/** What the members know to be there, and the store does not list: it cannot be asked what it has lost. */
async function lostOf(fleet: Fleet, cluster: string): Promise<Finding[]> {
  const notes = (await notesOf(fleet, cluster)) ?? [];
  const listed = new Set((await listCheckpoints(await checkpointStoreOf(fleet), cluster)).map(({ id }) => id));
  return lasting(notes)
    .filter((id) => !listed.has(id))
    .map((object) => ({ object, problem: "missing", expected: "what the members know of", got: "nothing" }));
}

interface ClusterReport extends VerifyReport {
  readonly cluster: string;
}

/** Of one cluster, its report as it is; of several, a list of them. */
function printFindings(output: OutputFormat, id: string, reports: readonly ClusterReport[]): void {
  print(output, reports.length === 1 ? reports[0] : reports, () =>
    reports.map((report) => reportText(id, report)).join(""),
  );
  if (reports.some(({ findings }) => findings.length > 0)) process.exitCode = EXIT.findings;
}

function reportText(id: string, { cluster, chain, objects, findings, spared }: ClusterReport): string {
  if (findings.length === 0) {
    const copies = spared.length === 0 ? "" : `, of which ${spared.length} are damaged and have a copy that is whole`;
    return `${cluster} ${chain?.at(-1)?.id ?? id}: ${pc.green("whole")}, ${objects} objects${copies}\n`;
  }
  return renderTable(
    ["cluster", "problem", "object", "expected", "got"],
    findings.map((it) => [cluster, pc.red(it.problem), it.object, it.expected, it.got]),
  );
}

/** The cluster that has this checkpoint, among those asked for. A damaged manifest is reported, not skipped. */
async function find(fleet: Fleet, id: string, options: ClusterFlags): Promise<{ cluster: string; manifest: Manifest }> {
  const objects = await checkpointStoreOf(fleet);
  let unknown: AppError | undefined;
  for (const cluster of clustersOf(fleet, options)) {
    try {
      return { cluster, manifest: await readManifest(objects, cluster, id) };
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "checkpoint-unknown") throw thrown;
      unknown ??= thrown;
    }
  }
  throw unknown ?? new AppError("checkpoint-unknown", `there is no checkpoint ${id}`);
}

function manifestRow({ cluster, id, tables, content, digest }: Manifest): unknown[] {
  const counted = Object.values(tables).map(({ rows: each }) => each);
  const rows = counted.includes(null) ? null : counted.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  return [
    cluster,
    id,
    rows,
    content.bytes,
    content.chunks.reduce((sum, { stored }) => sum + stored, 0),
    digest.slice(0, 16),
  ];
}
