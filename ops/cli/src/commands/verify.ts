/** `patina verify`: do all agents of a cluster hold the same state, and does the index say what the regions say? */
import type { Command } from "commander";
import pc from "picocolors";
import { EXIT } from "../exit-status.js";
import { agentsOf } from "../fleet/fleet-file.js";
import { anyRouter } from "../fleet/reach.js";
import { type AgentDigest, checkIndex, digestsOf, isEqual } from "../fleet/settle.js";
import { print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

export function addVerify(program: Command): void {
  withCommon(
    program.command("verify").description("compare the digests of a region's agents, and the index with the regions"),
  )
    .option("--region <region>", "only this region")
    .option("--all", "every region and the global tier (the default)")
    .action(verify);
}

async function verify(options: CommonOptions & { region?: string }): Promise<void> {
  const fleet = fleetOf(options);
  const clusters: { cluster: string; equal: boolean; agents: AgentDigest[] }[] = [];
  const regions = options.region === undefined ? Object.keys(fleet.regions) : [options.region];
  for (const region of regions) clusters.push(judge(region, await digestsOf(region, agentsOf(fleet, region))));
  if (options.region === undefined) clusters.push(judge("global", await digestsOf("global", fleet.global)));
  const index = options.region === undefined ? await checkIndex(fleet, await anyRouter(fleet)) : undefined;

  print(options.output, { clusters, index }, () => {
    const rows = clusters.flatMap(({ cluster, equal, agents }) =>
      agents.map(({ agent, digest, gaps, quarantined }) => {
        const verdict = digest === undefined ? pc.red("no answer") : equal ? pc.green("equal") : pc.red("differs");
        return [cluster, agent, verdict, digest?.slice(0, 16), gaps, quarantined];
      }),
    );
    const table = renderTable(["cluster", "agent", "state", "digest", "gaps", "quarantined"], rows);
    return index === undefined ? table : `${table}\n${indexText(index)}`;
  });
  const differs = clusters.some(({ equal, agents }) => !equal && agents.every(({ digest }) => digest !== undefined));
  const isWrong = index !== undefined && index.ghosts.length + index.missing.length > 0;
  if (differs || isWrong) process.exitCode = EXIT.findings;
  else if (clusters.some(({ equal }) => !equal)) process.exitCode = EXIT.unreachable;
}

function judge(cluster: string, agents: AgentDigest[]): { cluster: string; equal: boolean; agents: AgentDigest[] } {
  return { cluster, equal: isEqual(agents), agents };
}

function indexText({
  apps,
  ghosts,
  missing,
}: {
  apps: number;
  ghosts: readonly string[];
  missing: readonly string[];
}): string {
  if (ghosts.length + missing.length === 0)
    return `index: ${apps} apps, ${pc.green("exactly what the regions have")}\n`;
  return `index: ${pc.red(`${ghosts.length} ghosts, ${missing.length} missing`)}: ${[...ghosts, ...missing].slice(0, 10).join(" ")}\n`;
}
