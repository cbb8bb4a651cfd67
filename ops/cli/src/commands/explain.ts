/** `patina explain APP`: what each tier believes of an app, how old that is, and what is kept out: one screen. */
import type { Command } from "commander";
import pc from "picocolors";
import { EXIT } from "../exit-status.js";
import { anyRouter } from "../fleet/reach.js";
import { print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface Explained {
  readonly app: string;
  readonly verdict: {
    readonly result: string;
    readonly complete: boolean;
    readonly missing: readonly { readonly region: string; readonly reason: string }[];
  };
  readonly router: {
    readonly node: string;
    readonly synced: boolean;
    readonly peers: number;
    readonly index: readonly {
      readonly region: string;
      readonly class: string;
      readonly generation: number;
      readonly high_water: string;
      readonly high_water_ms: number;
      readonly origin: string;
      readonly version: number;
    }[];
    readonly map: readonly { readonly region: string; readonly class: string; readonly high_water: string }[];
    readonly asks: readonly string[];
    readonly quarantine: readonly { readonly region: string; readonly app: string | null; readonly reason: string }[];
  };
  readonly regions: readonly {
    readonly region: string;
    readonly generation: number;
    readonly grade: string;
    readonly ageMs: number;
    readonly circuit: string;
    readonly rttMs: number | null;
    readonly problem?: string;
    readonly says: {
      readonly generation: number;
      readonly class: string | null;
      readonly advertised: string | null;
      readonly machines: number;
      readonly high_water: string;
      readonly publishes: boolean;
      readonly synced: boolean;
      readonly gaps: number;
      readonly quarantined: number;
    } | null;
  }[];
}

const TIMEOUT_MS = 10_000;

export function addExplain(program: Command): void {
  withCommon(
    program.command("explain").description("what each tier believes of an app, and why").argument("<app>"),
  ).action(explain);
}

async function explain(app: string, options: CommonOptions): Promise<void> {
  const router = await anyRouter(fleetOf(options));
  const explained = await router.request<Explained>(`/v1/explain/${encodeURIComponent(app)}`, {
    timeoutMs: TIMEOUT_MS,
  });
  print(options.output, explained, () => text(explained));
  if (explained.verdict.result === "absent") process.exitCode = EXIT.absent;
  if (explained.verdict.result === "unknown") process.exitCode = EXIT.unreachable;
}

function text({ app, verdict, router, regions }: Explained): string {
  const { result, complete, missing } = verdict;
  const lines = [
    `${pc.bold(app)}: ${result}${complete ? "" : " (incomplete)"}; asked ${router.asks.join(", ") || "nobody"}`,
    ...missing.map(({ region, reason }) => `${pc.yellow("missing")} ${region}: ${reason}`),
    `router ${router.node.slice(0, 8)}: ${router.synced ? "synced" : pc.yellow("not synced")}, ${router.peers} peers`,
    "",
    pc.bold("index and map"),
    indexText(router),
    pc.bold("regions"),
    regionsText(regions),
  ];
  for (const { region, app: of, reason } of router.quarantine) {
    lines.push(`${pc.red("kept out of the map")} ${of ?? "(heartbeat)"} in ${region}: ${reason}`);
  }
  return `${lines.join("\n")}\n`;
}

function indexText({ index, map }: Explained["router"]): string {
  const inMap = new Map(map.map((route) => [route.region, route]));
  const rows = index.map(
    ({ region, class: cls, generation, high_water: stamp, high_water_ms: ms, origin, version }) => {
      const route = inMap.get(region);
      const agrees = route?.class === cls && route.high_water === stamp;
      const asMapped =
        route === undefined ? pc.red("not in the map") : agrees ? "the same" : pc.yellow(`still ${route.class}`);
      return [region, cls, generation, new Date(ms).toISOString(), `${origin.slice(0, 8)}:${version}`, asMapped];
    },
  );
  return renderTable(["region", "class", "generation", "high-water", "written by", "map"], rows);
}

function regionsText(regions: Explained["regions"]): string {
  const rows = regions.map(({ region, generation, grade, ageMs, circuit, rttMs, says, problem }) => {
    const heard = `${(ageMs / 1000).toFixed(1)} s`;
    const rtt = rttMs === null ? "-" : `${rttMs.toFixed(1)} ms`;
    const start = [region, generation, grade, heard, circuit, rtt];
    if (says === null) return [...start, "-", "-", "-", pc.red(problem ?? "")];
    const health = [
      ...(says.synced ? [] : ["not synced"]),
      ...(says.gaps > 0 ? [`${says.gaps} gaps`] : []),
      ...(says.quarantined > 0 ? [`${says.quarantined} quarantined`] : []),
    ];
    return [...start, says.class ?? "not here", says.machines, says.advertised ?? "no", health.join(", ") || "ok"];
  });
  const head = ["region", "generation", "grade", "heard", "circuit", "rtt", "says", "machines", "advertises", "health"];
  return renderTable(head, rows);
}
