/**
 * What a publication becomes in the tables of the global tier. A placement is stamped by its region, with generation and
 * high-water, so that whichever global agent takes it, old never overwrites new. A heartbeat is stamped with the time at which
 * it was sent, so that one that comes late, or again, overwrites no later one at any global agent; and never ahead of the agent
 * that takes it, so that no border's clock holds the row for good. How old it is goes by that agent's clock, which its own
 * cluster keeps honest: a border whose clock is behind would seem lost.
 */
import { type Hlc, hlcFromMs, hlcToMs, type RowWrite, type SqlValue } from "@patina/base";
import type { PlacementClass } from "../fib.js";
import type { Location } from "../near.js";
import type { KnownRegion } from "./door.js";

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

/** Without `sentMs`, where nothing is signed, it was sent now. */
export function heartbeatWrite(region: string, beat: RegionBeat, sentMs: number | undefined, wallMs: number): RowWrite {
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
  return {
    table: "regions",
    values,
    stamp: { epoch: beat.generation, hlc: hlcFromMs(Math.min(sentMs ?? wallMs, wallMs)) },
  };
}

/** When the heartbeat was sent that a region's row tells of. Undefined for a damaged row. */
export function lastHeartbeat(row: { readonly epoch: SqlValue; readonly hlc: SqlValue }): KnownRegion["heartbeat"] {
  const { epoch, hlc } = row;
  if (typeof epoch !== "bigint" || typeof hlc !== "bigint") return undefined;
  return { generation: Number(epoch), sentMs: hlcToMs(hlc) };
}
