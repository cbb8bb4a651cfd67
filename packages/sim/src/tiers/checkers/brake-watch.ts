/** T9: a border that loses sight of its region may take a few rows out of the index, and no more. */
import { testBorderConfig } from "@patina/summary";
import type { RegionAgent } from "../region/region-agent.js";
import type { RegionSite } from "../region/region-site.js";
import type { TierWorld } from "../world/tier-world.js";

export class BrakeWatch {
  readonly #world: TierWorld;
  readonly #blind = new Map<RegionAgent, { readonly region: RegionSite; readonly apps: readonly string[] }>();

  constructor(world: TierWorld) {
    this.#world = world;
  }

  begin(region: RegionSite, agent: RegionAgent): void {
    const apps = agent.detail.apps().filter((app) => this.#isIndexed(app, region.name));
    this.#blind.set(agent, { region, apps });
  }

  end(agent: RegionAgent): void {
    this.#blind.delete(agent);
  }

  /** The index was lost: nothing is known of what was in it. */
  forget(): void {
    this.#blind.clear();
  }

  check(): void {
    const { withdrawFloor, withdrawFractionMax } = testBorderConfig.summary;
    for (const [agent, { region, apps }] of this.#blind) {
      const gone = apps.filter((app) => agent.detail.classOf(app) !== undefined && !this.#isIndexed(app, region.name));
      // The brake's window may begin anew once while the border is blind.
      const most = 2 * Math.max(withdrawFloor - 1, Math.floor(apps.length * withdrawFractionMax));
      if (gone.length > most) {
        this.#world.findings.broken(
          "T9",
          `${agent.nodeId} saw nothing, and ${gone.length} of ${apps.length} rows are gone`,
        );
      }
    }
  }

  #isIndexed(app: string, region: string): boolean {
    return this.#world.globals.agents.some(({ table }) => table.placements(app).some((row) => row.region === region));
  }
}
