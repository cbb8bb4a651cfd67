/** `patina query` and `patina exec`: SQL against regions. A query fans out; one region that is gone costs no other's rows. */
import type { Command } from "commander";
import { AppError, messageOf } from "@patina/base";
import type { PatinaClient } from "@patina/api/client";
import { EXIT } from "../exit-status.js";
import { agentsOf, type Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyOf, anyRouter, isUnreachable } from "../fleet/reach.js";
import { counted, note, print, renderTable, seconds } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface QueryFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
  readonly app?: string;
  readonly all?: boolean;
  readonly param?: readonly string[];
}

interface RegionRows {
  readonly region: string;
  readonly columns: readonly string[];
  readonly rows: readonly unknown[][];
}

const collect = (value: string, all: string[] = []): string[] => [...all, value];

export function addSql(program: Command): void {
  withCommon(
    program
      .command("query")
      .description("run one SELECT in one region, in an app's regions, or in all")
      .argument("<sql>"),
  )
    .option("--region <region>", "in this region")
    .option("--app <app>", "in the regions that have this app")
    .option("--all", "in every region (the default)")
    .option("--global", "in the global tier")
    .option("-p, --param <value>", "a positional parameter; repeat for more", collect)
    .action(query);
  withCommon(program.command("exec").description("run one write in a region").argument("<sql>"))
    .requiredOption("--region <region>", "in this region")
    .option("-p, --param <value>", "a positional parameter; repeat for more", collect)
    .action(exec);
}

async function query(sql: string, options: QueryFlags): Promise<void> {
  const fleet = fleetOf(options);
  const targets = await targetsOf(fleet, options);
  const statement = [sql, (options.param ?? []).map(parameter)];
  const answered: RegionRows[] = [];
  const missing: { region: string; reason: string }[] = [];
  const results = await Promise.allSettled(targets.map(async ({ client }) => (await client()).query(statement)));
  results.forEach((result, i) => {
    const region = targets[i]?.name ?? "";
    if (result.status === "fulfilled") answered.push({ region, ...result.value });
    else if (isUnreachable(result.reason)) missing.push({ region, reason: messageOf(result.reason) });
    else throw result.reason;
  });
  const rows = answered.flatMap(({ region, rows: list }) => list.map((row) => [region, ...row]));
  const columns = ["region", ...(answered[0]?.columns ?? [])];
  print(options.output, { columns, rows, answered: answered.map(({ region }) => region), missing }, () =>
    renderTable(columns, rows),
  );
  for (const { region, reason } of missing) note(`missing ${region}: ${reason}`);
  if (missing.length > 0) process.exitCode = EXIT.unreachable;
}

interface Target {
  readonly name: string;
  readonly client: () => Promise<PatinaClient>;
}

async function targetsOf(fleet: Fleet, { region, app, all, global }: QueryFlags): Promise<Target[]> {
  if ([region, app, all, global].filter((scope) => scope !== undefined).length > 1) {
    throw new AppError("bad-request", "--region, --app, --all and --global exclude each other");
  }
  if (global === true) return [{ name: "global", client: () => anyOf(fleet.global, "the global tier") }];
  const regions =
    region !== undefined ? [region] : app !== undefined ? await regionsOf(fleet, app) : Object.keys(fleet.regions);
  for (const name of regions) agentsOf(fleet, name);
  return regions.map((name) => ({ name, client: () => anyIn(fleet, name) }));
}

async function regionsOf(fleet: Fleet, app: string): Promise<string[]> {
  const router = await anyRouter(fleet);
  const path = `/v1/apps/${encodeURIComponent(app)}/placement`;
  const { regions } = await router.request<{ regions: { region: string }[] }>(path, { accept: [404, 503] });
  if (regions.length === 0) throw new AppError("app-absent", `no region is known to have app ${app}`);
  return regions.map(({ region }) => region);
}

async function exec(
  sql: string,
  options: CommonOptions & { region: string; param?: readonly string[] },
): Promise<void> {
  const client = await anyIn(fleetOf(options), options.region);
  const result = await client.transact([[sql, (options.param ?? []).map(parameter)]]);
  const [first] = result.results;
  print(options.output, result, () => {
    const version = result.version === null ? "nothing changed, so no version was made" : `version ${result.version}`;
    const rows = first?.rows_affected ?? 0;
    return `${counted(rows, "row")} affected in ${seconds((first?.time ?? 0) * 1000)}; ${version}\n`;
  });
}

/** Numbers are numbers, `null` is null, everything else is text; quote a number in JSON to send it as text. */
function parameter(text: string): unknown {
  if (text === "null") return null;
  if (/^-?\d+(\.\d+)?$/.test(text)) return numberOf(text);
  if (!/^".*"$/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new AppError("bad-request", `the parameter ${text} is quoted, and is no JSON text`, {
      cause,
      hint: 'Write a quote within it as \\".',
    });
  }
}

function numberOf(text: string): number {
  const number = Number(text);
  const isExact = Number.isFinite(number) && (text.includes(".") || Number.isSafeInteger(number));
  if (isExact) return number;
  throw new AppError("bad-request", `the parameter ${text} is too large to be sent as a number`, {
    hint: `Quote it, '"${text}"': a column of integers takes it as one.`,
  });
}
