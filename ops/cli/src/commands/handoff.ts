/** `patina handoff` and `patina claim`: rows of owned tables change hands; `handoff list` says where that went wrong. */
import { AppError, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import type { Command } from "commander";
import { askEach } from "../fleet/ask-each.js";
import { agentsOf, type Fleet, type FleetAgent } from "../fleet/fleet-file.js";
import { anyOf } from "../fleet/reach.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface RowFlags extends CommonOptions {
  readonly region: string;
  readonly agent?: string;
}

interface HandoffResult {
  readonly rows: readonly { table: string; key: unknown[]; owner: string | null; epoch: number | null }[];
  readonly version: number | null;
}

interface HandoffReport {
  readonly worker: string;
  readonly doubtful: readonly Contested[];
  readonly fenced: readonly (Contested & { readonly version: number })[];
}

interface Contested {
  readonly table: string;
  readonly key: readonly unknown[];
  readonly epoch: number;
  readonly owner: string | null;
  readonly other?: string | null;
}

export function addHandoff(program: Command): void {
  // Not required by commander's own rule: it would ask them of `handoff list`, too.
  const handoff = withCommon(rowCommand(program.command("handoff"), "give a row to another worker"))
    .option("--region <region>", "in this region")
    .option("--to <worker>", "the worker that gets it")
    .option("--agent <name>", "at this agent (default: whichever of the region's owns the row)")
    .action(handOver);
  withCommon(handoff.command("list").description("rows that two workers claim, and writes that came too late"))
    .option("--region <region>", "of this region (default: every region)")
    .action(list);
  withCommon(rowCommand(program.command("claim"), "take a row over from a worker that is gone"))
    .requiredOption("--region <region>", "in this region")
    .option("--agent <name>", "for the worker of this agent (default: the first that answers)")
    .action(claim);
}

function rowCommand(command: Command, what: string): Command {
  return command
    .description(what)
    .argument("<table>")
    .argument("<key...>", "the key's values in order, one by one or with commas between");
}

async function handOver(
  table: string,
  key: string[],
  options: Partial<RowFlags> & CommonOptions & { to?: string },
): Promise<void> {
  // prettier-ignore
  const { region, agent, to } = options;
  if (region === undefined || to === undefined) {
    throw new AppError("bad-request", "a hand-over needs --region and --to", { hint: "patina handoff TABLE KEY --to WORKER --region REGION" }); // prettier-ignore
  }
  const agents = chosen(fleetOf(options), region, agent);
  let refused: AppError | undefined;
  for (const { name, api } of agents) {
    try {
      return printResult(options, await send(new PatinaClient(api), { table, key: keyOf(key), to }));
    } catch (thrown) {
      // Only the owner's agent can give a row away: the next one may be it.
      if (!(thrown instanceof AppError) || !/^(not-owner|agent-unreachable)$/.test(thrown.code)) throw thrown;
      if (thrown.code === "not-owner" || refused === undefined) refused = thrown;
      if (agents.length > 1) note(`${name}: ${messageOf(thrown)}`);
    }
  }
  throw refused ?? new AppError("region-unreachable", `region ${region} has no agents`);
}

async function claim(table: string, key: string[], options: RowFlags): Promise<void> {
  const { region, agent } = options;
  const client = await anyOf(chosen(fleetOf(options), region, agent), `region ${region}`);
  printResult(options, await send(client, { table, key: keyOf(key), claim: true }));
}

async function send(client: PatinaClient, body: object): Promise<HandoffResult> {
  return client.request<HandoffResult>("/v1/handoffs", { method: "POST", body });
}

function printResult({ output }: CommonOptions, result: HandoffResult): void {
  print(output, result, () => {
    if (result.rows.length === 0) return "it is that worker's already\n";
    const rows = result.rows.map(({ table, key, owner, epoch }) => [table, key.join(","), owner, epoch]);
    return renderTable(["table", "key", "owner", "epoch"], rows);
  });
}

async function list(_none: unknown, command: Command): Promise<void> {
  // Options that the parent takes, too, are the parent's.
  const options = command.optsWithGlobals<CommonOptions & { region?: string }>();
  const fleet = fleetOf(options);
  const regions = options.region === undefined ? Object.keys(fleet.regions) : [options.region];
  const asked = regions.map(async (region) => {
    const reports = await askEach(agentsOf(fleet, region), (client) => client.request<HandoffReport>("/v1/handoffs"));
    return reports.map((report) => ({ region, ...report }));
  });
  const reports = (await Promise.all(asked)).flat();
  print(options.output, { agents: reports }, () => {
    const rows = reports.flatMap(({ region, agent, doubtful, fenced }) => [
      ...doubtful.map((row) => [
        region,
        agent,
        "doubtful",
        ...cellsOf(row),
        `also claimed by ${row.other ?? "nobody"}`,
      ]),
      ...fenced.map((row) => [region, agent, "fenced", ...cellsOf(row), `version ${row.version} came too late`]),
    ]);
    return renderTable(["region", "agent", "found", "table", "key", "owner", "epoch", "what"], rows);
  });
}

function cellsOf({ table, key, owner, epoch }: Contested): unknown[] {
  return [table, key.join(","), owner, epoch];
}

function chosen(fleet: Fleet, region: string, name: string | undefined): FleetAgent[] {
  const agents = agentsOf(fleet, region);
  const found = name === undefined ? agents : agents.filter((agent) => agent.name === name);
  if (found.length > 0) return found;
  throw new AppError("fleet-unknown", `region ${region} has no agent ${name}`, {
    hint: `Its agents are ${agents.map((agent) => agent.name).join(", ")}.`,
  });
}

/** `a b` and `a,b` are a key of two values. A value with a comma in it goes to the API. */
function keyOf(words: readonly string[]): string[] {
  return words.flatMap((word) => word.split(","));
}
