/** `patina region restore R`: a region whose data is gone, or must go, comes back from a checkpoint. */
import type { Command } from "commander";
import pc from "picocolors";
import { systemNow } from "@patina/runtime";
import { restoreRegion } from "../fleet/restore-region.js";
import { note, print, renderTable, seconds } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

export function addRegion(program: Command): void {
  const region = program.command("region").description("whole regions");
  withCommon(
    region
      .command("restore")
      .description("bring a region back from a checkpoint, as a new generation")
      .argument("<region>"),
  )
    .requiredOption("--from <id>", "a checkpoint's id, or `latest`")
    .option("--replace", "move existing data directories aside")
    .action(restore);
}

async function restore(region: string, options: CommonOptions & { from: string; replace?: boolean }): Promise<void> {
  const began = systemNow().monotonicMs;
  let told = "";
  const result = await restoreRegion({
    fleet: fleetOf(options),
    region,
    from: options.from,
    replace: options.replace === true,
    onProgress: (agent, { phase, done, total }) => {
      const line = `${agent}: ${phase}`;
      if (line === told) return;
      told = line;
      note(pc.dim(`${line} (${done} of ${total} bytes)`));
    },
  });
  print(options.output, result, () => {
    const rows = result.agents.map(({ agent, quarantine }) => [agent, quarantine ?? "(nothing was there)"]);
    const took = seconds(systemNow().monotonicMs - began);
    return `${region} is restored from ${result.checkpoint} as generation ${result.generation} in ${took}\n${renderTable(["agent", "old data"], rows)}`;
  });
  if (!result.started) note("The agents are not running: start them (`npm start`, or your service manager).");
}
