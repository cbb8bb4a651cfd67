/** `patina schema`: the tables of a cluster, what another file would change in them, and applying it everywhere. */
import { readFileSync } from "node:fs";
import { AppError, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import type { Command } from "commander";
import pc from "picocolors";
import { agentsOf, type Fleet, type FleetAgent } from "../fleet/fleet-file.js";
import { anyOf } from "../fleet/reach.js";
import { waitUntil } from "../fleet/settle.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface SchemaFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
  readonly ignore?: string;
  readonly wait: string;
}

interface SchemaDocument {
  readonly sql: string;
  readonly hash: string;
  readonly history: readonly { readonly version: number; readonly author: string; readonly sql: string }[];
}

interface Applied {
  readonly plan: { readonly adds: readonly string[]; readonly removes: readonly string[] };
  readonly version: number;
  readonly applied: boolean;
  readonly hash: string;
  readonly node: string;
}

interface Adoption {
  readonly agent: string;
  readonly version: number | undefined;
  readonly hash: string | undefined;
}

export function addSchema(program: Command): void {
  const schema = program.command("schema").description("the tables a cluster replicates");
  withTarget(schema.command("show").description("the schema each agent has, and its text")).action(show);
  withTarget(schema.command("plan").description("what a schema file would change").argument("<file>"))
    .option("--ignore <names>", "tables and table.columns that may go, separated by commas")
    .action(plan);
  withTarget(schema.command("apply").description("apply a schema file to the whole cluster").argument("<file>"))
    .option("--ignore <names>", "hide these tables and table.columns everywhere; their data is kept")
    .option("--wait <seconds>", "how long to wait for all agents to adopt it", "30")
    .action(apply);
  withTarget(schema.command("drop").description("erase what an applied schema has hidden").argument("<names...>"))
    .option("--wait <seconds>", "how long to wait for all agents to adopt it", "30")
    .action(drop);
}

/** Hidden everywhere first, erased second: an agent that still shows it would go on writing it. */
async function drop(names: readonly string[], options: SchemaFlags): Promise<void> {
  const { name, agents } = targetOf(fleetOf(options), options);
  const versions = new Set((await adoptions(agents)).map(({ version }) => version));
  if (versions.size > 1 || versions.has(undefined)) {
    throw new AppError("not-ready", `not every agent of ${name} has adopted the schema that hides it`, {
      hint: "See `patina schema show`; start the agents that are down, or evict them.",
    });
  }
  const client = await anyOf(agents, name);
  const answer = await client.request<Applied>("/v1/schema/drops", { method: "POST", body: names });
  const adopted = await waitForAll(agents, answer, Number(options.wait) * 1000);
  print(options.output, { ...answer, adopted }, () => {
    return `${pc.green("dropped")} ${names.join(", ")} as version ${answer.version}, adopted by ${adopted.length} of ${agents.length} agents\n`;
  });
}

function withTarget(command: Command): Command {
  return withCommon(command).option("--region <region>", "of this region").option("--global", "of the global tier");
}

function targetOf(fleet: Fleet, { region, global }: SchemaFlags): { name: string; agents: readonly FleetAgent[] } {
  if (global === true) return { name: "global", agents: fleet.global };
  if (region !== undefined) return { name: region, agents: agentsOf(fleet, region) };
  throw new AppError("bad-request", "which cluster?", { hint: "Add --region REGION or --global." });
}

async function show(options: SchemaFlags): Promise<void> {
  const { name, agents } = targetOf(fleetOf(options), options);
  const document = await (await anyOf(agents, name)).request<SchemaDocument>("/v1/schema");
  const adopted = await adoptions(agents);
  print(options.output, { cluster: name, ...document, agents: adopted }, () => {
    const rows = adopted.map(({ agent, version, hash }) => [agent, version, hash?.slice(0, 16)]);
    return `${renderTable(["agent", "version", "schema"], rows)}\n${document.sql.trim()}\n`;
  });
}

async function plan(file: string, options: SchemaFlags): Promise<void> {
  const { name, agents } = targetOf(fleetOf(options), options);
  const client = await anyOf(agents, name);
  const body = { sql: readSchemaFile(file), ignore: ignored(options) };
  const answer = await client.request<Applied>("/v1/schema?plan=true", { method: "POST", body });
  print(options.output, answer, () => planText(answer));
}

async function apply(file: string, options: SchemaFlags): Promise<void> {
  const { name, agents } = targetOf(fleetOf(options), options);
  const client = await anyOf(agents, name);
  const body = { sql: readSchemaFile(file), ignore: ignored(options) };
  const answer = await client.request<Applied>("/v1/schema", { method: "POST", body, timeoutMs: 60_000 });
  if (!answer.applied) return print(options.output, { ...answer, adopted: [] }, () => planText(answer));
  note(planText(answer).trimEnd());
  const adopted = await waitForAll(agents, answer, Number(options.wait) * 1000);
  print(options.output, { ...answer, adopted }, () => {
    return `${pc.green("applied")} version ${answer.version}, adopted by ${adopted.length} of ${agents.length} agents of ${name}\n`;
  });
}

/** Waits until every agent is at the version; throws `schema-conflict` when another schema took its place. */
async function waitForAll(
  agents: readonly FleetAgent[],
  { version, hash }: Applied,
  timeoutMs: number,
): Promise<Adoption[]> {
  let adopted: Adoption[] = [];
  await waitUntil(async () => {
    adopted = (await adoptions(agents)).filter((it) => (it.version ?? 0) >= version);
    const other = adopted.find((it) => it.version === version && it.hash !== hash);
    if (other === undefined) return adopted.length === agents.length;
    throw new AppError("schema-conflict", `another schema was applied as version ${version} at the same time`, {
      hint: `${other.agent} has it: look with \`patina schema show\`, bring the file up to date, and apply it again.`,
    });
  }, timeoutMs);
  return adopted;
}

async function adoptions(agents: readonly FleetAgent[]): Promise<Adoption[]> {
  return Promise.all(
    agents.map(async ({ name: agent, api }) => {
      const document = await new PatinaClient(api).request<SchemaDocument>("/v1/schema").catch(() => undefined);
      return { agent, version: document && (document.history[0]?.version ?? 0), hash: document?.hash };
    }),
  );
}

function planText({ plan: { adds, removes }, applied, version }: Applied): string {
  const lines = [
    ...adds.map((it) => pc.green(`+ ${it}`)),
    ...removes.map((it) => pc.yellow(`- ${it} (hidden, data kept)`)),
  ];
  if (lines.length > 0) return `${lines.join("\n")}\n`;
  return applied ? `version ${version}\n` : pc.dim("nothing to change\n");
}

function ignored({ ignore }: SchemaFlags): string[] {
  return ignore === undefined ? [] : ignore.split(",").map((name) => name.trim());
}

function readSchemaFile(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw new AppError("bad-request", `cannot read ${file}: ${messageOf(cause)}`, {
      cause,
      hint: "Name a file of SQL.",
    });
  }
}
