/** The name of one state of one row of the global tier, as the journal and the quarantine keep it: a row that changed has another. */
import type { StoredPlacement } from "./rib.js";
import type { RowName } from "./quarantine.js";

export function stateOf({ table, app, region }: RowName, clock: Pick<StoredPlacement, "epoch" | "hlc">): string {
  return JSON.stringify([table, app ?? null, region, String(clock.epoch), String(clock.hlc)]);
}

/** The app whose placement it is; undefined for the state of a region's row, and for what names none. */
export function appOfState(state: string): string | undefined {
  try {
    const [table, app] = JSON.parse(state) as unknown[];
    return table === "placements" && typeof app === "string" ? app : undefined;
  } catch {
    return undefined; // The journal's line was cut: it says so in place of a name.
  }
}
