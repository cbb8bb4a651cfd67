/** `patina checkpoint prune`: which checkpoints go, and why; with `--yes` they do. */
import { type Command, Option } from "commander";
import pc from "picocolors";
import { AppError } from "@patina/base";
import { prune, type PruneReport, RETENTION_POLICIES, type RetentionName } from "@patina/checkpoint";
import { newDbId } from "@patina/runtime";
import { EXIT } from "../exit-status.js";
import { checkpointStoreOf } from "../fleet/checkpoint-store.js";
import { print, renderTable } from "../output.js";
import { type ClusterFlags, clustersOf, notesOf, scoped } from "./checkpoint-clusters.js";
import { fleetOf } from "./options.js";

interface PruneFlags extends ClusterFlags {
  readonly policy: RetentionName;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
}

export function addCheckpointPrune(checkpoint: Command): void {
  scoped(checkpoint.command("prune").description("which checkpoints go by the policy, and why; --yes to let them go"))
    .addOption(
      new Option("--policy <name>", "how long they are kept")
        .choices(Object.keys(RETENTION_POLICIES))
        .default("standard"),
    )
    .addOption(new Option("--dry-run", "say it only (default)").conflicts("yes"))
    .option("--yes", "delete what was marked a day ago, and mark what goes now")
    .option(
      "--force",
      "also when the store lists less than the members know, and all bases at once instead of a quarter",
    )
    .action(run);
}

async function run(options: PruneFlags): Promise<void> {
  const fleet = fleetOf(options);
  const { policy, yes = false, force = false } = options;
  const objects = await checkpointStoreOf(fleet);
  const reports: PruneReport[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    const notes = await notesOf(fleet, cluster);
    if (notes === undefined && yes && !force) throw unasked(cluster);
    const noted = (notes ?? []).map(({ manifest }) => manifest);
    const by = newDbId().slice(0, 8);
    reports.push(await prune({ objects, cluster, policy, noted, by, isDryRun: !yes, force }));
  }
  print(options.output, reports, () => reports.map(textOf).join("\n"));
  if (reports.some(({ objections }) => objections.length > 0 && !force)) process.exitCode = EXIT.findings;
}

function unasked(cluster: string): AppError {
  return new AppError("retention-refused", `no member of ${cluster} answers: what the store has lost cannot be told`, {
    hint: "Start an agent, or `--force`.",
  });
}

function textOf({ cluster, keep, go, objections, isDryRun, marked, swept }: PruneReport): string {
  const rows = [
    ...go.map(({ id, why }) => [pc.yellow("goes"), id, why]),
    ...keep.map(({ id, why }) => ["stays", id, why]),
  ];
  const done = isDryRun
    ? `${cluster}: ${go.length} would go, ${keep.length} stay. Nothing was changed: --yes does it.`
    : `${cluster}: ${marked.manifests} checkpoints and ${marked.objects} objects marked, to be deleted by a run a day from now; ` +
      `${swept.manifests} checkpoints and ${swept.objects} objects (${swept.bytes} bytes) deleted.`;
  const refused = objections.map((objection) => pc.red(`${objection}\n`)).join("");
  return `${renderTable(["", "checkpoint", "why"], rows)}${refused}${done}\n`;
}
