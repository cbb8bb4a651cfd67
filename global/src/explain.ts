/**
 * What every tier believes of one app, side by side: the rows of the index with their stamps and writers, the map built
 * from them, what is kept out of it, how fresh each region is, and what each region says when it is asked now.
 */
import { hlcToMs, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { gradeOf, type Rib } from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { Resolver } from "./placement/resolver.js";
import { toDocument } from "./routes/map-routes.js";

const TIMEOUT_MS = 2000;
/** Regions asked; a fleet has fewer. */
const REGIONS_MAX = 256;
const ROWS = `SELECT region, class, _patina_epoch, _patina_hlc, _patina_version,
  (SELECT origin FROM _patina_origins WHERE idx = _patina_origin) FROM _patina_rows_placements WHERE app = ? ORDER BY region`;

export interface ExplainParts {
  readonly process: AgentProcess;
  readonly rib: Rib;
  readonly resolver: Resolver;
}

export async function explainApp(parts: ExplainParts, app: string): Promise<Readonly<Record<string, unknown>>> {
  const { process, rib, resolver } = parts;
  const names = [...rib.regions.keys()].sort().slice(0, REGIONS_MAX);
  const [placement, regions] = await Promise.all([
    resolver.resolve(app, {}),
    Promise.all(names.map((region) => explainRegion(parts, app, region))),
  ]);
  return {
    app,
    verdict: { result: placement.result, complete: placement.complete, missing: placement.missing },
    router: {
      node: process.nodeId,
      synced: process.runtime.agent.hasSynced,
      peers: process.runtime.agent.reachable().length,
      index: indexRows(process, app),
      map: rib.fib.lookup(app).map(({ highWater, ...route }) => ({ ...route, high_water: String(highWater) })),
      asks: resolver.plan(app, {}).asks.map(({ region }) => region),
      quarantine: rib.quarantine
        .list()
        .filter((row) => row.app === app || row.app === undefined)
        .map(toDocument),
    },
    regions,
  };
}

function indexRows(process: AgentProcess, app: string): readonly Readonly<Record<string, unknown>>[] {
  return process.store.read(ROWS, [app]).map(([region, cls, epoch, hlc, version, origin]) => ({
    region,
    class: cls,
    generation: Number(epoch),
    high_water: String(hlc),
    high_water_ms: hlcToMs(hlc as bigint),
    origin,
    version: Number(version),
  }));
}

async function explainRegion({ rib, resolver }: ExplainParts, app: string, region: string): Promise<unknown> {
  const now = systemNow();
  const state = rib.regions.get(region);
  const known = {
    region,
    generation: state?.generation ?? null,
    ...gradeOf(state, now, resolver.config),
    circuit: resolver.health.stateOf(region, now.monotonicMs),
    rttMs: resolver.health.rttMs(region) ?? null,
  };
  const problems: string[] = [];
  for (const api of (state?.apis ?? []).slice(0, resolver.config.attemptsMax)) {
    try {
      const client = new PatinaClient(api, { timeoutMs: TIMEOUT_MS });
      return { ...known, says: await client.request(`/v1/explain/${encodeURIComponent(app)}`) };
    } catch (thrown) {
      problems.push(`${api}: ${messageOf(thrown)}`);
    }
  }
  return { ...known, says: null, problem: problems.join("; ") || "it has told nobody where to ask" };
}
