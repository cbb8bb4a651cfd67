/**
 * `patina region restore|rollback R` and `patina global restore|rollback|rebuild`: a cluster whose data is gone, or must go,
 * begins anew from a checkpoint.
 */
import { type Command, Option } from "commander";
import pc from "picocolors";
import { systemNow } from "@patina/runtime";
import { checkpointStoreOf } from "../fleet/checkpoint-store.js";
import { GLOBAL_CLUSTER } from "../fleet/fleet-file.js";
import { planRestore, restoreCluster } from "../fleet/restore-cluster.js";
import { planRollback, rollBack, type RollbackPlan } from "../fleet/rollback.js";
import { note, print, renderTable, seconds } from "../output.js";
import { restoreProgress } from "../restore-progress.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface RestoreFlags extends CommonOptions {
  readonly from: string;
  readonly replace?: boolean;
  readonly dryRun?: boolean;
}

interface RollbackFlags extends CommonOptions {
  readonly to: string;
  readonly reason: string;
  readonly dryRun?: boolean;
}

const REASON = new Option("--reason <text>", "why, for the record and the logs").default("rollback");

export function addRegion(program: Command): void {
  const region = program.command("region").description("whole regions");
  restoring(region.command("restore").argument("<region>")).action(restore);
  rollingBack(region.command("rollback").argument("<region>")).action(rollback);
  const global = program.command("global").description("the global tier");
  restoring(global.command("restore")).action((options: RestoreFlags) => restore(GLOBAL_CLUSTER, options));
  rollingBack(global.command("rollback")).action((options: RollbackFlags) => rollback(GLOBAL_CLUSTER, options));
  withCommon(
    global.command("rebuild").description("begin the global tier empty: every region tells it anew what it has"),
  )
    .addOption(new Option("--reason <text>", "why, for the record and the logs").default("rebuild"))
    .option("--dry-run", "say what would be done")
    .action((options: CommonOptions & { reason: string; dryRun?: boolean }) =>
      rollback(GLOBAL_CLUSTER, { ...options, to: undefined }),
    );
}

function restoring(command: Command): Command {
  return withCommon(command.description("bring back from a checkpoint what is lost, as a new generation"))
    .requiredOption("--from <checkpoint>", "its id, a time (the newest not after it), or `latest`")
    .option("--replace", "move existing data directories aside")
    .option("--dry-run", "say what would be done");
}

function rollingBack(command: Command): Command {
  return withCommon(command.description("take it back, while it runs, to a checkpoint, as a new generation"))
    .requiredOption("--to <checkpoint>", "its id, a time (the newest not after it), or `latest`")
    .addOption(REASON)
    .option("--dry-run", "say which rows would change");
}

async function restore(cluster: string, options: RestoreFlags): Promise<void> {
  const fleet = fleetOf(options);
  if (options.dryRun === true) return showPlan(cluster, options);
  const began = systemNow().monotonicMs;
  const progress = restoreProgress(options.output);
  const result = await restoreCluster({
    fleet,
    cluster,
    from: options.from,
    replace: options.replace === true,
    onProgress: (agent, at) => progress.show(agent, at),
    say: (message) => note(pc.dim(message)),
  }).finally(() => progress.end());
  print(options.output, result, () => {
    const rows = result.agents.map(({ agent, quarantine }) => [agent, quarantine ?? "(nothing was there)"]);
    const took = seconds(systemNow().monotonicMs - began);
    return `${cluster} is restored from ${result.checkpoint} as generation ${result.generation} in ${took}\n${renderTable(["agent", "old data"], rows)}`;
  });
  if (!result.started) note("The agents are not running: start them (`npm start`, or your service manager).");
}

async function showPlan(cluster: string, options: RestoreFlags): Promise<void> {
  const plan = await planRestore(await checkpointStoreOf(fleetOf(options)), cluster, options.from);
  print(options.output, plan, () =>
    renderTable(
      ["", ""],
      [
        ["checkpoint", plan.checkpoint],
        ["taken at", `${plan.takenAt}: the last ${plan.lostSeconds} s are lost`],
        ["made of", `a base; deltas after it: ${plan.checkpoints - 1}`],
        ["bytes", `${plan.bytes}, of which each agent fetches ${plan.storedBytes}`],
        [
          "rows of its base",
          Object.entries(plan.rows)
            .map(([table, rows]) => `${table} ${rows}`)
            .join(", "),
        ],
        ["generation", `${plan.generation} or later`],
      ],
    ),
  );
}

async function rollback(
  cluster: string,
  options: Omit<RollbackFlags, "to"> & { to: string | undefined },
): Promise<void> {
  const { to, reason, output, dryRun } = options;
  const began = systemNow().monotonicMs;
  const what = { fleet: fleetOf(options), cluster, to, reason, say: (message: string) => note(pc.dim(message)) };
  if (dryRun === true) {
    const plan = await planRollback(what);
    return print(output, plan, () => planText(plan));
  }
  const result = await rollBack(what);
  print(output, result, () => {
    const took = seconds(systemNow().monotonicMs - began);
    const agents = renderTable(
      ["agent", "state"],
      result.agents.map(({ agent, state }) => [agent, state]),
    );
    return `${planText(result)}${cluster} is generation ${result.generation} after ${took}\n${agents}`;
  });
}

function planText({ cluster, checkpoint, takenAt, rows }: RollbackPlan): string {
  if (checkpoint === null) return `${cluster} begins empty\n`;
  const changed = Object.entries(rows);
  const table = renderTable(["table", "rows that change"], changed);
  return `${cluster} goes back to ${checkpoint}, of ${takenAt ?? "no time"}\n${table}`;
}
