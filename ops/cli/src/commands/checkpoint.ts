/** `patina checkpoint create|list|show|verify`. Taking one needs an agent; reading them needs only the object store. */
import type { Command } from "commander";
import pc from "picocolors";
import { AppError } from "@patina/base";
import { type CatalogEntry, listCheckpoints, type Manifest, readManifest, verifyCheckpoint } from "@patina/checkpoint";
import { systemNow } from "@patina/runtime";
import { EXIT } from "../exit-status.js";
import { checkpointStoreOf } from "../fleet/checkpoint-store.js";
import { agentsOf, type Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyRouter } from "../fleet/reach.js";
import { note, print, renderTable, seconds } from "../output.js";
import { addCheckpointDoctor } from "./checkpoint-doctor.js";
import { addCheckpointKeys } from "./checkpoint-keys.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface ClusterFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
}

export function addCheckpoint(program: Command): void {
  const checkpoint = program.command("checkpoint").description("checkpoints in object storage");
  const scoped = (command: Command): Command =>
    withCommon(command)
      .option("--region <region>", "of this region (default: all of them)")
      .option("--global", "of the global tier");
  scoped(checkpoint.command("create").description("take one now")).action(create);
  scoped(checkpoint.command("list").description("those there are")).action(list);
  scoped(checkpoint.command("show").description("one manifest").argument("<id>", "or `latest`")).action(show);
  scoped(checkpoint.command("verify").description("read it back and check every byte").argument("<id>", "or `latest`"))
    .option("--quick", "check that every object is there, without reading it")
    .action(verify);
  addCheckpointDoctor(checkpoint);
  addCheckpointKeys(checkpoint);
}

async function create(options: ClusterFlags): Promise<void> {
  const fleet = fleetOf(options);
  const taken: Manifest[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    const client = cluster === "global" ? await anyRouter(fleet) : await anyIn(fleet, cluster);
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
  const cluster = (await find(fleet, id, options)).cluster;
  const report = await verifyCheckpoint(objects, cluster, id, { data: options.quick !== true });
  print(options.output, { cluster, ...report }, () => {
    const { findings } = report;
    if (findings.length === 0)
      return `${cluster} ${report.chain?.at(-1)?.id ?? id}: ${pc.green("whole")}, ${report.objects} objects\n`;
    return renderTable(
      ["problem", "object", "expected", "got"],
      findings.map((it) => [pc.red(it.problem), it.object, it.expected, it.got]),
    );
  });
  if (report.findings.length > 0) process.exitCode = EXIT.findings;
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

function clustersOf(fleet: Fleet, { region, global }: ClusterFlags): string[] {
  if (global === true) return ["global"];
  if (region === undefined) return Object.keys(fleet.regions);
  agentsOf(fleet, region);
  return [region];
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
