/** How old the oldest ghost ever was: a row of the index for an app that no agent of its region has, and rows that are missing. */
import type { TierWorld } from "../world/tier-world.js";

export class GhostWatch {
  readonly #world: TierWorld;
  readonly #sinceMs = new Map<string, number>();
  oldestMs = 0;

  constructor(world: TierWorld) {
    this.#world = world;
  }

  look(): void {
    const { globals, regions, nowMs } = this.#world;
    const byName = new Map(regions.map((region) => [region.name, region]));
    const ghosts = new Set<string>();
    for (const { index, table } of globals.agents) {
      for (const { app, region } of table.placements()) {
        const agents = byName.get(String(region))?.agents ?? [];
        if (agents.every(({ detail }) => detail.classOf(String(app)) === undefined))
          ghosts.add(`${index}/${String(app)}/${String(region)}`);
      }
    }
    for (const ghost of [...this.#sinceMs.keys()]) if (!ghosts.has(ghost)) this.#sinceMs.delete(ghost);
    for (const ghost of ghosts) {
      const sinceMs = this.#sinceMs.get(ghost) ?? nowMs;
      this.#sinceMs.set(ghost, sinceMs);
      this.oldestMs = Math.max(this.oldestMs, nowMs - sinceMs);
    }
  }
}
