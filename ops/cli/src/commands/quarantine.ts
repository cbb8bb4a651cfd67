/**
 * `patina quarantine list|retry|discard`: changes that an agent could not apply, and rows that a router keeps out of its map,
 * with the reason. Each agent has its own, since one may have a schema that another has not yet.
 */
import type { Command } from "commander";
import pc from "picocolors";
import type { PatinaClient } from "@patina/api/client";
import { AppError } from "@patina/base";
import { EXIT } from "../exit-status.js";
import { askEach } from "../fleet/ask-each.js";
import { agentsOf, type Fleet, type FleetAgent } from "../fleet/fleet-file.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface QuarantineFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
}

interface QuarantinedChange {
  readonly origin: string;
  readonly version: number;
  readonly written_ms: number;
  readonly reason: string;
  readonly tables: readonly string[];
  readonly bytes: number;
}

interface QuarantinedRow {
  readonly table: string;
  readonly app: string | null;
  readonly region: string;
  readonly reason: string;
  readonly since_ms: number;
  readonly serves_last_good: boolean;
}

/** Changes listed of one agent: the first are nearly always the story. */
const LISTED_MAX = 100;
const RETRY_TIMEOUT_MS = 120_000;

export function addQuarantine(program: Command): void {
  const quarantine = program.command("quarantine").description("changes that could not be applied");
  const scoped = (command: Command): Command =>
    withCommon(command)
      .option("--region <region>", "of this region's agents (default: every agent)")
      .option("--global", "of the global tier's agents");
  scoped(quarantine.command("list").description("what was put aside, by which agent, and why")).action(list);
  scoped(quarantine.command("retry").description("try to apply it again, e.g. once the reason is gone")).action(retry);
  scoped(quarantine.command("discard <origin> <version>"))
    .description("give a change up for good, wherever it was put aside; --yes does it")
    .option("--yes", "discard it")
    .action(discard);
}

async function list(options: QuarantineFlags): Promise<void> {
  const answers = await askEach(agentsIn(fleetOf(options), options), async (client) => {
    const path = `/v1/quarantine?limit=${LISTED_MAX}`;
    return client.request<{ changes: QuarantinedChange[]; next: string | null }>(path);
  });
  const kept = await askEach(routersIn(fleetOf(options), options), async (client) => {
    return client.request<{ rows: QuarantinedRow[] }>("/v1/map/quarantine");
  });
  print(options.output, [...answers, ...kept], () => {
    const rows = answers.flatMap(({ agent, changes }) =>
      changes.map(({ origin, version, written_ms: writtenMs, tables, bytes, reason }) => {
        const written = new Date(writtenMs).toISOString();
        return [agent, origin.slice(0, 8), version, written, tables.join(" "), bytes, reason];
      }),
    );
    const table = renderTable(["agent", "origin", "version", "written", "tables", "bytes", "reason"], rows);
    return kept.every(({ rows: none }) => none.length === 0) ? table : `${table}\n${mapText(kept)}`;
  });
  for (const { agent, next } of answers) {
    if (next !== null) note(pc.dim(`${agent} has more: GET /v1/quarantine?after=${next}`));
  }
}

function mapText(kept: readonly { readonly agent: string; readonly rows: readonly QuarantinedRow[] }[]): string {
  const rows = kept.flatMap(({ agent, rows: list }) =>
    list.map(({ table, app, region, reason, since_ms: sinceMs, serves_last_good: serves }) => {
      const since = new Date(sinceMs).toISOString();
      return [agent, table, app ?? "-", region, since, serves ? "its last good state" : "nothing", reason];
    }),
  );
  return renderTable(["router", "table", "app", "region", "since", "the map has", "reason"], rows);
}

async function retry(options: QuarantineFlags): Promise<void> {
  const retryAt = (path: string) => async (client: PatinaClient) => {
    const request = { method: "POST", timeoutMs: RETRY_TIMEOUT_MS } as const;
    return client.request<{ applied: number; remaining: number }>(path, request);
  };
  const fleet = fleetOf(options);
  const answers = [
    ...(await askEach(agentsIn(fleet, options), retryAt("/v1/quarantine/retry"))),
    ...(await askEach(routersIn(fleet, options), retryAt("/v1/map/quarantine/retry"))).map((answer) => {
      return { ...answer, agent: `${answer.agent} (map)` };
    }),
  ];
  print(options.output, answers, () => {
    const rows = answers.map(({ agent, applied, remaining }) => [agent, applied, remaining]);
    return renderTable(["agent", "applied", "still aside"], rows);
  });
  if (answers.some(({ remaining }) => remaining > 0)) process.exitCode = EXIT.findings;
}

/** At every agent that has it: one that kept it would go on passing it on. */
async function discard(origin: string, version: string, options: DiscardFlags): Promise<void> {
  const wanted = changeNamed(origin, version);
  const answers = await askEach(agentsIn(fleetOf(options), options), async (client) => {
    const found = await findChange(client, wanted);
    if (found === undefined) return { found: false, discarded: false };
    if (options.yes !== true) return { found: true, discarded: false };
    const request = { method: "POST", body: { origin: found.origin, version: found.version } } as const;
    return { found: true, ...(await client.request<{ discarded: boolean }>("/v1/quarantine/discards", request)) };
  });
  print(options.output, answers, () => {
    const rows = answers.map(({ agent, found, discarded }) => [agent, found ? "aside" : "not there", discarded ? "yes" : "no"]); // prettier-ignore
    return renderTable(["agent", "change", "discarded"], rows);
  });
  if (!answers.some(({ found }) => found)) process.exitCode = EXIT.absent;
  else if (options.yes !== true)
    note("nothing was discarded: the rows it writes are lost where it is; add --yes to do it");
}

interface DiscardFlags extends QuarantineFlags {
  readonly yes?: boolean;
}

/** The change that `list` shows: of its origin, the first digits will do. */
function changeNamed(origin: string, version: string): { readonly origin: string; readonly version: number } {
  if (/^[0-9a-f]{8,48}$/.test(origin) && /^[1-9]\d{0,15}$/.test(version)) return { origin, version: Number(version) };
  throw new AppError("bad-request", `${origin} ${version} names no change`, {
    hint: "Write its origin, or the first eight digits of it, and its version, as `patina quarantine list` shows them.",
  });
}

async function findChange(
  client: PatinaClient,
  { origin, version }: { readonly origin: string; readonly version: number },
): Promise<QuarantinedChange | undefined> {
  let after: string | null = "";
  while (after !== null) {
    const path: string = `/v1/quarantine?limit=${LISTED_MAX}${after === "" ? "" : `&after=${after}`}`;
    const page: { changes: QuarantinedChange[]; next: string | null } = await client.request(path);
    const found = page.changes.find((it) => it.version === version && it.origin.startsWith(origin));
    if (found !== undefined) return found;
    after = page.next;
  }
  return undefined;
}

function agentsIn(fleet: Fleet, { region, global }: QuarantineFlags): readonly FleetAgent[] {
  if (global === true) return fleet.global;
  return region === undefined ? [...Object.values(fleet.regions).flat(), ...fleet.global] : agentsOf(fleet, region);
}

/** A router may be asked of its map unless only a region's agents are meant. */
function routersIn(fleet: Fleet, { region }: QuarantineFlags): readonly FleetAgent[] {
  return region === undefined ? fleet.global : [];
}
