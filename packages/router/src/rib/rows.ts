/**
 * What a row of the global tier must look like to enter the map. Whoever wrote it checked it too; but a reader that trusts
 * its writers fails with all its peers at once on the first row that one of them got wrong.
 */
import { type Hlc, HLC_MAX, type SqlValue } from "@patina/base";
import type { Route } from "../fib.js";
import type { RegionState } from "../grade.js";
import type { Location } from "../near.js";

export const REGION_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const APP_CHARS_MAX = 255;
/** A row's own text is not kept: one word for millions of rows. */
const CLASSES = ["serving", "standby"] as const;
const APIS_MAX = 64;
const API_CHARS_MAX = 512;
const API = /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/;
/** Control characters break logs, terminals and every protocol that ends a line. */
const CONTROL = /\p{Cc}/u;

export interface PlacementRow {
  readonly app: SqlValue;
  readonly region: SqlValue;
  readonly class: SqlValue;
  readonly epoch: SqlValue;
  readonly hlc: SqlValue;
}

export interface RegionRow {
  readonly region: SqlValue;
  readonly generation: SqlValue;
  readonly heartbeatMs: SqlValue;
  /** A JSON list. */
  readonly apis: SqlValue;
  readonly apps: SqlValue;
  /** A JSON object, or empty. */
  readonly location: SqlValue;
}

/** What the row says, or why it says nothing. */
export type Judged<T> = { readonly good: T } | { readonly bad: string };

export function judgePlacement(row: PlacementRow): Judged<Route> {
  const { app, region, class: cls, epoch, hlc } = row;
  if (!isAppName(app)) return { bad: `the app's name is empty, longer than ${APP_CHARS_MAX}, or no plain text` };
  if (!isRegionName(region)) return { bad: "the region's name is none" };
  const known = CLASSES.find((each) => each === cls);
  if (known === undefined) return { bad: `class ${String(cls).slice(0, 32)} is not known` };
  const generation = wholeNumber(epoch);
  if (generation === undefined || generation < 1) return { bad: "the generation is no positive number" };
  if (typeof hlc !== "bigint" || hlc < 0n || hlc > HLC_MAX) return { bad: "the high-water is no stamp" };
  return { good: { region, class: known, generation, highWater: hlc satisfies Hlc } };
}

export function judgeRegion(row: RegionRow): Judged<RegionState> {
  const { region } = row;
  if (!isRegionName(region)) return { bad: "the region's name is none" };
  const generation = wholeNumber(row.generation);
  if (generation === undefined || generation < 1) return { bad: "the generation is no positive number" };
  const heartbeatMs = wholeNumber(row.heartbeatMs);
  if (heartbeatMs === undefined || heartbeatMs < 0) return { bad: "the time of the heartbeat is no number" };
  const apis = json(row.apis);
  if (!Array.isArray(apis) || apis.length > APIS_MAX || !apis.every(isApi)) {
    return { bad: `the agents are not a list of up to ${APIS_MAX} http addresses` };
  }
  const apps = wholeNumber(row.apps);
  if (apps === undefined || apps < 0) return { bad: "the number of apps is none" };
  const location = row.location === "" || row.location === null ? undefined : json(row.location);
  if (location !== undefined && !isLocation(location)) return { bad: "the location is no place on earth" };
  return { good: { region, generation, heartbeatMs, apis, apps, ...(location === undefined ? {} : { location }) } };
}

function isAppName(value: SqlValue): value is string {
  return typeof value === "string" && value !== "" && value.length <= APP_CHARS_MAX && !CONTROL.test(value);
}

function isRegionName(value: SqlValue): value is string {
  return typeof value === "string" && REGION_NAME.test(value);
}

function isApi(value: unknown): value is string {
  return typeof value === "string" && value.length <= API_CHARS_MAX && API.test(value);
}

function isLocation(value: unknown): value is Location {
  if (typeof value !== "object" || value === null) return false;
  const { lat, lon } = value as Partial<Location>;
  return isWithin(lat, 90) && isWithin(lon, 180);
}

function isWithin(value: unknown, most: number): boolean {
  return typeof value === "number" && Math.abs(value) <= most;
}

function wholeNumber(value: SqlValue): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

function json(value: SqlValue): unknown {
  if (typeof value !== "string") return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined; // Not JSON: the caller says what is wrong with it.
  }
}
