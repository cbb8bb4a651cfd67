/**
 * What a publication becomes in the tables of the global tier. A placement is stamped by its region, with generation and
 * high-water, so that whichever global agent takes it, old never overwrites new. A heartbeat is stamped by the clock of the
 * agent that takes it, which its own cluster keeps honest, so that no border's clock holds the row for good.
 */
import { type Hlc, hlcFromMs, type RowWrite } from "@patina/base";
import type { PlacementClass } from "../fib.js";
import type { Location } from "../near.js";

export interface PublishedRow {
  readonly app: string;
  /** None withdraws the row. */
  readonly class: PlacementClass | undefined;
  readonly highWater: Hlc;
}

export interface RegionBeat {
  readonly generation: number;
  readonly highWater: Hlc;
  readonly apis: readonly string[];
  readonly agents: number;
  readonly apps: number;
  readonly location: Location | undefined;
}

export function placementWrites(region: string, generation: number, rows: readonly PublishedRow[]): RowWrite[] {
  return rows.map(({ app, class: cls, highWater }) => ({
    table: "placements",
    values: { app, region, ...(cls === undefined ? {} : { class: cls }) },
    deleted: cls === undefined,
    stamp: { epoch: generation, hlc: highWater },
  }));
}

export function heartbeatWrite(region: string, beat: RegionBeat, wallMs: number): RowWrite {
  const values = {
    region,
    generation: BigInt(beat.generation),
    heartbeat_ms: BigInt(Math.floor(wallMs)),
    high_water: String(beat.highWater),
    apis: JSON.stringify(beat.apis),
    agents: BigInt(beat.agents),
    apps: BigInt(beat.apps),
    location: beat.location === undefined ? "" : JSON.stringify(beat.location),
  };
  return { table: "regions", values, stamp: { epoch: beat.generation, hlc: hlcFromMs(wallMs) } };
}
