/**
 * `patina verify`: do all agents of a cluster hold the same state, and does the index say what the regions say? Where they
 * do not, it names table and bucket. `--scrub` also has every agent add up its rows anew, and `--repair` puts right what that
 * finds.
 */
import { type Command, InvalidArgumentError } from "commander";
import pc from "picocolors";
import type { RepairReport } from "@patina/api";
import { PatinaClient } from "@patina/api/client";
import { messageOf } from "@patina/base";
import type { ScrubFinding } from "@patina/store";
import { EXIT } from "../exit-status.js";
import { type Differences, lastingDifferences } from "../fleet/differences.js";
import { agentsOf, type Fleet, type FleetAgent } from "../fleet/fleet-file.js";
import { anyRouter, isUnreachable } from "../fleet/reach.js";
import { type AgentDigest, digestsOf, type IndexCheck, isEqual, isTrue, lastingErrors } from "../fleet/settle.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface VerifyFlags extends CommonOptions {
  readonly region?: string;
  readonly within: number;
  readonly scrub?: boolean;
  readonly repair?: boolean;
}

interface ClusterCheck {
  readonly cluster: string;
  readonly equal: boolean;
  /** As they were at one look: of a cluster that is written to they may differ, and its copies be equal. */
  readonly agents: readonly AgentDigest[];
  /** Undefined when they are equal, or not all of them answer. */
  readonly differences: Differences | undefined;
  readonly scrubs: readonly AgentScrub[] | undefined;
}

interface AgentScrub {
  readonly agent: string;
  readonly findings: readonly ScrubFinding[];
  /** Why it was not made. */
  readonly error?: string;
}

/** Above the time a withdrawal is held down for. */
const SETTLE_S = 8;
const SCRUB_TIMEOUT_MS = 600_000;
/** Differing buckets named to a person; a program gets all of them. */
const SHOWN_MAX = 10;

export function addVerify(program: Command): void {
  withCommon(
    program.command("verify").description("compare the digests of a region's agents, and the index with the regions"),
  )
    .option("--region <region>", "only this region")
    .option("--all", "every region and the global tier (the default)")
    .option("--within <seconds>", "how long what is under way may take before it is a finding", seconds, SETTLE_S)
    .option("--scrub", "also add up every row anew on every agent: finds what was written around the engine")
    .option("--repair", "and put right what that finds, from the other agents' copies")
    .action(verify);
}

function seconds(text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && number >= 0 && Number.isFinite(number)) return number;
  throw new InvalidArgumentError("It is a number of seconds.");
}

async function verify(options: VerifyFlags): Promise<void> {
  const fleet = fleetOf(options);
  const clusters: ClusterCheck[] = [];
  const regions = options.region === undefined ? Object.keys(fleet.regions) : [options.region];
  for (const region of regions) clusters.push(await check(region, agentsOf(fleet, region), options));
  if (options.region === undefined) clusters.push(await check("global", fleet.global, options));
  const index = options.region === undefined ? await indexOf(fleet, options) : undefined;

  print(options.output, { clusters, index }, () => {
    const rows = clusters.flatMap(({ cluster, equal, agents }) =>
      agents.map(({ agent, digest, gaps, quarantined }) => {
        const verdict = digest === undefined ? pc.red("no answer") : equal ? pc.green("equal") : pc.red("differs");
        return [cluster, agent, verdict, digest?.slice(0, 16), gaps, quarantined];
      }),
    );
    const table = renderTable(["cluster", "agent", "state", "digest", "gaps", "quarantined"], rows);
    const found = clusters.flatMap((cluster) => [...differenceTexts(cluster), ...scrubTexts(cluster)]).join("");
    return table + (found === "" ? "" : `\n${found}`) + (index === undefined ? "" : `\n${indexText(index)}`);
  });
  process.exitCode = exitStatusOf(clusters, index);
}

/** Undefined when no router answers: the global tier's own line says that. */
async function indexOf(fleet: Fleet, { within }: VerifyFlags): Promise<IndexCheck | undefined> {
  try {
    return await lastingErrors(fleet, await anyRouter(fleet), within * 1000);
  } catch (thrown) {
    if (!isUnreachable(thrown)) throw thrown;
    note(`the index was not checked: ${messageOf(thrown)}`);
    return undefined;
  }
}

async function check(cluster: string, agents: readonly FleetAgent[], options: VerifyFlags): Promise<ClusterCheck> {
  // First: a repair may change the digests.
  const scrubs = options.scrub === true || options.repair === true ? await scrubAll(agents, options) : undefined;
  const digests = await digestsOf(cluster, agents);
  const allAnswer = digests.every(({ digest }) => digest !== undefined);
  const found = isEqual(digests) || !allAnswer ? undefined : await lastingDifferences(agents, options.within * 1000);
  const equal = allAnswer && (found?.buckets.length ?? 0) === 0;
  return { cluster, equal, agents: digests, differences: equal ? undefined : found, scrubs };
}

/** With `--repair`, what is found is put right, and what is told is what another scrub still finds. */
async function scrubAll(agents: readonly FleetAgent[], { repair }: VerifyFlags): Promise<AgentScrub[]> {
  const scrubs = await Promise.all(agents.map(scrub));
  if (repair !== true) return scrubs;
  for (const [i, agent] of agents.entries()) {
    const { findings = [] } = scrubs[i] ?? {};
    if (findings.length === 0) continue;
    for (const finding of findings) await repairBucket(agent, finding);
    scrubs[i] = await scrub(agent);
  }
  return scrubs;
}

async function repairBucket({ name, api }: FleetAgent, { table, bucket }: ScrubFinding): Promise<void> {
  const client = new PatinaClient(api, { timeoutMs: SCRUB_TIMEOUT_MS });
  const body = { table, bucket };
  const { repaired, unresolved } = await client.request<RepairReport>("/v1/repairs", { method: "POST", body });
  const rest = unresolved === 0 ? "" : pc.red(`, ${unresolved} that no peer has`);
  note(`${name}: ${table}, bucket ${bucket}: ${repaired} rows put right${rest}`);
}

async function scrub({ name, api }: FleetAgent): Promise<AgentScrub> {
  try {
    const client = new PatinaClient(api, { timeoutMs: SCRUB_TIMEOUT_MS });
    const { findings } = await client.request<{ findings: ScrubFinding[] }>("/v1/scrubs", { method: "POST" });
    return { agent: name, findings };
  } catch (thrown) {
    note(`${name} was not scrubbed: ${messageOf(thrown)}`);
    return { agent: name, findings: [], error: messageOf(thrown) };
  }
}

function exitStatusOf(clusters: readonly ClusterCheck[], index: IndexCheck | undefined): number {
  const differs = clusters.some(({ equal, agents }) => !equal && agents.every(({ digest }) => digest !== undefined));
  const isWrong = index !== undefined && !isTrue(index);
  const scrubs = clusters.flatMap((cluster) => cluster.scrubs ?? []);
  if (differs || isWrong || scrubs.some(({ findings }) => findings.length > 0)) return EXIT.findings;
  const isPartial = clusters.some(({ equal }) => !equal) || scrubs.some(({ error }) => error !== undefined);
  return isPartial ? EXIT.unreachable : EXIT.ok;
}

function differenceTexts({ cluster, differences }: ClusterCheck): string[] {
  if (differences === undefined) return [];
  const shown = differences.buckets.slice(0, SHOWN_MAX).map(({ table, bucket, sums }) => {
    const each = Object.entries(sums).map(([agent, sum]) => `${agent} ${sum?.slice(0, 8) ?? "none"}`);
    return `${cluster}: ${pc.red(`${table}, bucket ${bucket} differs`)}: ${each.join(", ")}\n`;
  });
  const lag = differences.sameHoldings
    ? []
    : [`${cluster}: ${pc.yellow("not all versions are everywhere yet")}: it may be no more than a lag\n`];
  return [...shown, ...more(differences.buckets.length), ...lag];
}

function scrubTexts({ cluster, scrubs = [] }: ClusterCheck): string[] {
  return scrubs.flatMap(({ agent, findings, error }) => {
    if (error !== undefined) return [];
    if (findings.length === 0) return [`${cluster}: ${agent}: ${pc.green("every row is what its digest says")}\n`];
    const shown = findings.slice(0, SHOWN_MAX).map(({ table, bucket, expected, found }) => {
      const sums = `expected ${expected.slice(0, 8)}, found ${found.slice(0, 8)}`;
      return `${cluster}: ${agent}: ${pc.red(`${table}, bucket ${bucket}: rows are not what their digest says`)}: ${sums}\n`;
    });
    return [...shown, ...more(findings.length)];
  });
}

function more(count: number): string[] {
  return count > SHOWN_MAX ? [pc.dim(`  and ${count - SHOWN_MAX} more: -o json has all of them\n`)] : [];
}

function indexText(index: IndexCheck): string {
  const { apps, ghosts, missing } = index;
  if (isTrue(index)) return `index: ${apps} apps, ${pc.green("exactly what the regions have")}\n`;
  return `index: ${pc.red(`${ghosts.length} ghosts, ${missing.length} missing`)}: ${[...ghosts, ...missing].slice(0, 10).join(" ")}\n`;
}
