/**
 * How far a region is from where the caller wants its app: by great circle, when both places are known. What the router
 * itself measures, the round trip to each region, decides among regions at the same distance, and alone when the caller
 * names no place. Round trips count in powers of two, so that noise does not send the callers of one app to and fro.
 */
export interface Location {
  /** Degrees, north and east positive. */
  readonly lat: number;
  readonly lon: number;
}

/** A region by name, or a place. */
export type Near = string | Location;

const EARTH_KM = 6371;
/** Regions nearer to each other than this are equally far. */
const SAME_KM = 50;
/** Below this, round trips are alike. */
const SAME_MS = 4;

/** In km, coarsely; -1 for the named region itself, and infinity when either place is not known. */
export function distanceTo(
  region: string,
  near: Near | undefined,
  locationOf: (region: string) => Location | undefined,
): number {
  if (near === undefined) return 0;
  if (near === region) return -1;
  const from = typeof near === "string" ? locationOf(near) : near;
  const to = locationOf(region);
  if (from === undefined || to === undefined) return Infinity;
  return Math.floor(kilometres(from, to) / SAME_KM) * SAME_KM;
}

/** The rank of a round trip: equal for those within a factor of two, last for one never measured. */
export function rttRank(rttMs: number | undefined): number {
  return rttMs === undefined ? Infinity : Math.ceil(Math.log2(Math.max(SAME_MS, rttMs) / SAME_MS));
}

/** By the haversine formula. */
function kilometres(a: Location, b: Location): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const half = (degrees: number): number => Math.sin(radians(degrees) / 2) ** 2;
  const h = half(b.lat - a.lat) + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * half(b.lon - a.lon);
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}
