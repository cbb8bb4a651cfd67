/**
 * The rules of the tiers, by letter. Some are looked at all the time, the others once everything is healed and quiet.
 *
 *   T1  the index of every global agent is the summary of each region's detail           quiet
 *   T2  nothing is in the index that its region does not have, 10 s after the last fault  quiet
 *   T3  an older stamp never overwrites a newer one                                      always
 *   T4  no row of a region is written with another's credential                          always, at the door and in the index
 *   T5  a settled app is never absent                                                    every resolution (tier-clients.ts)
 *   T6  a settled app that the router knows is found, with its age, whatever is down      every resolution (tier-clients.ts)
 *   T7  what waits and what is kept is bounded                                           always
 *   T8  a bad row stays out of the map, its last good state in service, all others flow  always; none is left: quiet
 *   T9  a border that lost sight of its region withdraws next to nothing                 always (brake-watch.ts)
 *   T10 machine updates without a transition write no row of the index                   quiet (run-tier-seed.ts)
 */
import { compareStamps, type Stamp } from "@patina/base";
import { testBorderConfig } from "@patina/summary";
import type { GlobalAgent } from "../global/global-agent.js";
import { TIER_ROUTER_CONFIG } from "../global/global-agent.js";
import { idOf, type IndexTable } from "../global/index-table.js";
import type { RegionSite } from "../region/region-site.js";
import type { TierWorld } from "../world/tier-world.js";
import { textOf } from "./truth.js";

const QUARANTINED_MAX = 1000;

export class TierChecks {
  readonly #world: TierWorld;
  /** As each agent was when it was last looked at: what did not change is as right as it was. */
  readonly #looked = new Map<GlobalAgent, string>();
  readonly #stamps = new WeakMap<IndexTable, Map<string, Stamp>>();

  constructor(world: TierWorld) {
    this.#world = world;
  }

  /** At any time. */
  checkNow(): void {
    for (const agent of this.#world.globals.agents) {
      const { table, life } = agent;
      const state = `${life}/${table.revision}`;
      if (this.#looked.get(agent) === state) continue;
      this.#looked.set(agent, state);
      this.#checkStamps(agent);
      this.#checkMap(agent);
    }
    for (const region of this.#world.regions) this.#checkBounds(region);
  }

  #checkStamps({ index, table }: GlobalAgent): void {
    const before = this.#stamps.get(table) ?? new Map<string, Stamp>();
    this.#stamps.set(table, before);
    for (const state of table.states()) {
      const { stamp } = state;
      const id = idOf(state);
      const last = before.get(id);
      if (last !== undefined && !table.dropped.has(id) && compareStamps(stamp, last) < 0) {
        this.#world.findings.broken("T3", `${id} of global agent ${index} went back to an older stamp`);
      }
      before.set(id, stamp);
    }
  }

  #checkMap({ index, table, rib, answers }: GlobalAgent): void {
    if (rib === undefined || answers === undefined) return;
    const { findings } = this.#world;
    const aside = new Map(rib.quarantine.list().map((row) => [`${row.app}/${row.region}`, row]));
    for (const { app, region, class: cls } of table.placements()) {
      if (app === "forged") findings.broken("T4", `global agent ${index} has a row that its region never wrote`);
      const row = aside.get(`${String(app)}/${String(region)}`);
      const route = rib.fib.lookup(String(app)).find((each) => each.region === region);
      const lastGood = row?.lastGood as { readonly class?: string } | undefined;
      if (row !== undefined && lastGood !== undefined)
        findings.passed("the last good state of a row stayed in service");
      const expected = row === undefined ? cls : lastGood?.class;
      const isSense = route === undefined || route.class === "serving" || route.class === "standby";
      if (route?.class !== expected || !isSense) {
        findings.broken(
          "T8",
          `${String(app)} in ${String(region)} is ${route?.class} in map ${index}, and ${String(expected)} would be right`,
        );
      }
    }
    if (answers.size > TIER_ROUTER_CONFIG.answersMax) findings.broken("T7", `${answers.size} answers are kept`);
    if (rib.quarantine.size > QUARANTINED_MAX) findings.broken("T7", `${rib.quarantine.size} rows are in quarantine`);
  }

  #checkBounds({ agents, name }: RegionSite): void {
    const { findings } = this.#world;
    const { appsMax } = testBorderConfig.summary;
    for (const { border, nodeId } of agents) {
      if ((border?.counts.waiting ?? 0) > appsMax)
        findings.broken("T7", `${nodeId} has more rows on their way than apps`);
    }
    if (agents.filter(({ border }) => border?.isPublishing === true).length > 1) {
      findings.passed("two borders published at once");
    }
    for (const { rib } of this.#world.globals.agents) {
      if ((rib?.fib.appsIn(name) ?? 0) > 2 * appsMax) findings.broken("T7", `the index has too many rows of ${name}`);
    }
  }
}

/** Of healed tiers: nothing means that the index is what it should be. */
export function checkTiersQuiet(world: TierWorld): string[] {
  return world.regions.flatMap((region) => {
    const summary = world.truth.summaryOf(region);
    if (summary === undefined) return [`T1: the agents of ${region.name} do not agree`];
    return world.globals.agents.flatMap((agent) => differences(region, summary, agent));
  });
}

function differences(
  region: RegionSite,
  summary: ReadonlyMap<string, string>,
  { index, table, rib }: GlobalAgent,
): string[] {
  const rows = table.placements().filter((row) => row.region === region.name);
  const indexed = new Map(rows.map(({ app, class: cls }) => [String(app), String(cls)]));
  const ghosts = [...indexed.keys()].filter((app) => !summary.has(app));
  const inDoubt = rib?.quarantine.list().filter((row) => row.region === region.name).length ?? 0;
  return [
    ...(ghosts.length > 0
      ? [`T2: global agent ${index} has ${ghosts.join(", ")} in ${region.name}, which has none`]
      : []),
    ...(ghosts.length === 0 && textOf(indexed) !== textOf(summary)
      ? [`T1: global agent ${index} has of ${region.name}: ${oneLine(indexed)}; it is: ${oneLine(summary)}`]
      : []),
    ...(inDoubt > 0 ? [`T8: global agent ${index} still keeps ${inDoubt} rows of ${region.name} out of its map`] : []),
  ];
}

function oneLine(summary: ReadonlyMap<string, string>): string {
  return textOf(summary).replaceAll("\n", ", ");
}
