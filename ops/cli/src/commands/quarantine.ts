/**
 * `patina quarantine list|retry`: changes that an agent could not apply, and rows that a router keeps out of its map, with
 * the reason. Each agent has its own, since one may have a schema that another has not yet.
 */
import type { Command } from "commander";
import pc from "picocolors";
import type { PatinaClient } from "@patina/api/client";
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

function agentsIn(fleet: Fleet, { region, global }: QuarantineFlags): readonly FleetAgent[] {
  if (global === true) return fleet.global;
  return region === undefined ? [...Object.values(fleet.regions).flat(), ...fleet.global] : agentsOf(fleet, region);
}

/** A router may be asked of its map unless only a region's agents are meant. */
function routersIn(fleet: Fleet, { region }: QuarantineFlags): readonly FleetAgent[] {
  return region === undefined ? fleet.global : [];
}
