/** `patina apps list` and `patina apps resolve APP`: what runs where, as the global tier and the regions know it. */
import type { Command } from "commander";
import pc from "picocolors";
import { EXIT } from "../exit-status.js";
import { anyRouter } from "../fleet/reach.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface AppsDocument {
  readonly total: number;
  readonly next: string | null;
  readonly apps: readonly {
    readonly app: string;
    readonly regions: readonly { readonly region: string; readonly class: string }[];
  }[];
}

interface PlacementDocument {
  readonly result: "found" | "absent" | "unknown";
  readonly complete: boolean;
  readonly regions: readonly {
    readonly region: string;
    readonly class?: string;
    readonly grade: string;
    readonly ageMs: number;
    readonly source: string;
    readonly instances: readonly Record<string, unknown>[];
    readonly note?: string;
  }[];
  readonly missing: readonly { readonly region: string; readonly reason: string }[];
}

const INSTANCES_SHOWN = 8;

export function addApps(program: Command): void {
  const apps = program.command("apps").description("apps and where they run");
  withCommon(apps.command("list").description("every app and the regions that have it"))
    .option("--limit <count>", "apps to show", "50")
    .option("--after <app>", "start after this one", "")
    .action(listApps);
  withCommon(apps.command("resolve").description("where one app runs, asked of its regions now").argument("<app>"))
    .option("--near <place>", "the nearest first: a region, or latitude,longitude")
    .option("--regions <list>", "only these, separated by commas")
    .option("--max-age <seconds>", "nothing older than this; up to it, answers that the router kept will do")
    .option("--wait <token>", "only once the region has this write: ACTOR_ID:VERSION, as `exec -o json` gave it")
    .option("--live", "only what a region itself says now")
    .action(resolveApp);
}

async function listApps(options: CommonOptions & { limit: string; after: string }): Promise<void> {
  const router = await anyRouter(fleetOf(options));
  const query = new URLSearchParams({ limit: options.limit, after: options.after });
  const document = await router.request<AppsDocument>(`/v1/apps?${query.toString()}`);
  print(options.output, document, () =>
    renderTable(
      ["app", "regions"],
      document.apps.map(({ app, regions }) => [
        app,
        regions.map(({ region, class: cls }) => (cls === "serving" ? region : `${region} (${cls})`)).join(" "),
      ]),
    ),
  );
  if (document.next !== null) note(pc.dim(`${document.total} apps in all; go on with --after ${document.next}`));
}

interface ResolveFlags extends CommonOptions {
  readonly near?: string;
  readonly regions?: string;
  readonly maxAge?: string;
  readonly wait?: string;
  readonly live?: boolean;
}

async function resolveApp(app: string, options: ResolveFlags): Promise<void> {
  const router = await anyRouter(fleetOf(options));
  const query = new URLSearchParams({
    ...(options.near === undefined ? {} : { near: options.near }),
    ...(options.regions === undefined ? {} : { regions: options.regions }),
    ...(options.maxAge === undefined ? {} : { max_age: options.maxAge }),
    ...(options.wait === undefined ? {} : { wait: options.wait }),
    ...(options.live === true ? { require: "live" } : {}),
  });
  const path = `/v1/apps/${encodeURIComponent(app)}/placement?${query.toString()}`;
  const placement = await router.request<PlacementDocument>(path, { accept: [404, 503] });
  print(options.output, placement, () => placementText(app, placement));
  if (placement.result === "absent") process.exitCode = EXIT.absent;
  if (placement.result === "unknown") process.exitCode = EXIT.unreachable;
}

function placementText(app: string, { result, complete, regions, missing }: PlacementDocument): string {
  const colour = result === "found" ? pc.green : result === "absent" ? pc.yellow : pc.red;
  let text = `${app}: ${colour(result)}${complete ? "" : pc.dim(" (incomplete)")}\n`;
  if (regions.length > 0) {
    text += renderTable(
      ["region", "class", "grade", "age", "source", "machines", "note"],
      regions.map(({ region, class: cls, grade, ageMs, source, instances, note: why }) => {
        return [region, cls, grade, `${(ageMs / 1000).toFixed(1)} s`, source, instances.length, why ?? ""];
      }),
    );
    text += instancesText(regions);
  }
  for (const { region, reason } of missing) text += `${pc.yellow("missing")} ${region}: ${reason}\n`;
  return text;
}

function instancesText(regions: PlacementDocument["regions"]): string {
  const rows = regions.flatMap(({ region, instances }) => {
    return instances
      .slice(0, INSTANCES_SHOWN)
      .map((row) => [region, row["id"], row["state"], row["worker"], row["address"]]);
  });
  return rows.length === 0 ? "" : `\n${renderTable(["region", "machine", "state", "worker", "address"], rows)}`;
}
