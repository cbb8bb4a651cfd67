/** What `patina dev` prints when it is ready: what runs where, where to ask, and what to try. */
import pc from "picocolors";
import { must } from "@patina/base";
import type { Layout } from "../fleet/layout.js";
import { anyRouter } from "../fleet/reach.js";
import { renderTable } from "../output.js";

interface AppsDocument {
  readonly total: number;
  readonly apps: readonly {
    readonly app: string;
    readonly regions: readonly { readonly region: string; readonly class: string }[];
  }[];
}

const APPS_SHOWN = 8;

export async function fleetText({ fleet, dir }: Layout): Promise<string> {
  const router = await anyRouter(fleet);
  const { total, apps } = await router.request<AppsDocument>("/v1/apps");
  const byRegion = Object.entries(fleet.regions).map(([region, agents]) => {
    const here = apps.filter(({ regions }) => regions.some((placed) => placed.region === region)).length;
    return [region, agents.length, here, agents.map(({ api }) => api).join(" ")];
  });
  const widest = apps.toSorted((a, b) => b.regions.length - a.regions.length).slice(0, APPS_SHOWN);
  const example = must(widest[0]?.app ?? "no-app", "an app");
  const [first] = Object.keys(fleet.regions);
  return [
    "",
    renderTable(
      ["region", "agents", "apps", "HTTP"],
      [...byRegion, ["global", fleet.global.length, total, fleet.global.map(({ api }) => api).join(" ")]],
    ),
    renderTable(
      ["app", "regions"],
      widest.map(({ app, regions }) => [app, regions.map(({ region }) => region).join(" ")]),
    ),
    pc.bold("Try:"),
    `  npx patina apps resolve ${example} --near ${first}${flag(dir)}`,
    `  npx patina query --all "SELECT state, count(*) FROM machines GROUP BY state"${flag(dir)}`,
    `  curl -s ${fleet.global[0]?.api}/v1/apps/${example}/placement`,
    "",
  ].join("\n");
}

/** Other commands look for the fleet under `.patina`; elsewhere they must be told. */
function flag(dir: string): string {
  return dir.endsWith("/.patina") ? "" : ` --fleet ${dir}/fleet.json`;
}
