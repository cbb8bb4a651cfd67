/**
 * What is so in the regions, as nobody in the tiers knows it: which app is where, by the word of every agent that runs, and
 * since when. An app that has been there for long enough is settled: no router may call it absent, whatever else is down.
 */
import type { PlacementClass } from "@patina/router";
import type { RegionSite } from "../region/region-site.js";
import type { TierWorld } from "../world/tier-world.js";

/** Until then a router may not have heard of it: freshness, an audit and a retry, each at its longest. */
export const SETTLED_AFTER_MS = 8000;

export class Truth {
  readonly #world: TierWorld;
  readonly #sinceMs = new Map<string, number>();

  constructor(world: TierWorld) {
    this.#world = world;
  }

  /** Looks at every region. To be called so often that nothing comes and goes unseen. */
  look(): void {
    const { regions, nowMs } = this.#world;
    for (const region of regions) {
      const apps = new Set(region.up.flatMap(({ detail }) => detail.apps()));
      const present = [...apps].filter((app) => isPresent(region, app));
      for (const app of present) if (!this.#sinceMs.has(`${region.name}/${app}`)) this.#sinceMs.set(`${region.name}/${app}`, nowMs); // prettier-ignore
      const here = new Set(present.map((app) => `${region.name}/${app}`));
      for (const key of [...this.#sinceMs.keys()]) {
        if (key.startsWith(`${region.name}/`) && !here.has(key)) this.#sinceMs.delete(key);
      }
    }
  }

  /** The regions in which the app is settled, and still is now. */
  settledIn(app: string): string[] {
    const { regions, nowMs } = this.#world;
    return regions
      .filter((region) => {
        const sinceMs = this.#sinceMs.get(`${region.name}/${app}`);
        return sinceMs !== undefined && nowMs - sinceMs >= SETTLED_AFTER_MS && isPresent(region, app);
      })
      .map(({ name }) => name);
  }

  /** Something happened to the index that no router can know of until it is made up for: nothing is settled any more. */
  disturb(): void {
    for (const key of this.#sinceMs.keys()) this.#sinceMs.set(key, this.#world.nowMs);
  }

  /** What the index should have of a region: the summary of its detail. Undefined while its agents do not agree. */
  summaryOf(region: RegionSite): ReadonlyMap<string, PlacementClass> | undefined {
    const [first, ...rest] = region.agents.map(({ detail }) => {
      return new Map(
        detail
          .apps()
          .sort()
          .map((app) => [app, detail.classOf(app) ?? "standby"] as const),
      );
    });
    const text = textOf(first ?? new Map<string, PlacementClass>());
    return first !== undefined && rest.every((other) => textOf(other) === text) ? first : undefined;
  }
}

/** One line an app: equal summaries have the equal text. */
export function textOf(summary: ReadonlyMap<string, string>): string {
  return [...summary]
    .map(([app, cls]) => `${app} ${cls}`)
    .sort()
    .join("\n");
}

/** Does every agent of the region that runs see it? */
function isPresent({ up }: RegionSite, app: string): boolean {
  return up.length > 0 && up.every((agent) => agent.classOf(app) !== undefined);
}
