/**
 * Whom to ask about an app, in which order, and what an empty answer would mean.
 *
 *   FIB routes ──within `regions`──► asks, at most candidatesMax ──────► the rest: unasked, given as indexed
 *   regions without a route whose part of the map cannot be trusted ──► fallback, at most probesMax ──► the rest: missing
 *
 * All `asks` are asked side by side, and the `fallback` only if no region has the app.
 */
import { type Now, rendezvous } from "@patina/base";
import { checkRouterConfig, type RouterConfig } from "./config.js";
import type { Fib, PlacementClass, Route } from "./fib.js";
import { type Grade, gradeOf, type RegionState } from "./grade.js";
import { distanceTo, type Location, type Near, rttRank } from "./near.js";

export interface ResolveOptions {
  /** The nearest to this region or place go first among equals. */
  readonly near?: Near;
  /** Only these. What the index has elsewhere is named in `missing`, so that it is never taken for absent. */
  readonly regions?: readonly string[];
  /** Nothing older than this, in ms, from a region or from the index; and kept answers up to this age will do. */
  readonly maxAgeMs?: number;
  /** Only what a region itself says now. */
  readonly requireLive?: boolean;
  /** Ask every region, and each only once it holds this write: the index may not have heard of it yet. */
  readonly wait?: Token;
}

/** One write, as whoever made it was told: its origin and version. */
export interface Token {
  readonly origin: string;
  readonly version: number;
}

export interface RouterView {
  readonly fib: Fib;
  readonly regions: ReadonlyMap<string, RegionState>;
  /** Whether the first sync with the global tier is done: before it, an empty map means nothing. */
  readonly complete: boolean;
  /** Regions that may publish: one that has not been heard of is a gap, and not nothing. */
  readonly expected?: readonly string[];
  /** Round trips as measured here. */
  readonly rttMs?: (region: string) => number | undefined;
}

export interface Ask {
  readonly region: string;
  /** Try them in turn. */
  readonly apis: readonly string[];
  readonly grade: Exclude<Grade, "live">;
  readonly ageMs: number;
  /** As indexed; a probed region has none. */
  readonly class: PlacementClass | undefined;
  /** An answer of an older generation is one of a past that was rolled back. */
  readonly generation: number;
  readonly reason: "index" | "probe";
}

export interface Missing {
  readonly region: string;
  readonly reason: string;
}

export interface Plan {
  readonly app: string;
  /** In order of preference. */
  readonly asks: readonly Ask[];
  /** To be asked only if none of `asks` has the app. */
  readonly fallback: readonly Ask[];
  /** Indexed, but not to be asked, and why. */
  readonly unasked: readonly { readonly ask: Ask; readonly note: string }[];
  /** Gaps known before anybody was asked. */
  readonly missing: readonly Missing[];
  /** Whether the regions that appear nowhere above are known not to have the app. */
  readonly complete: boolean;
  readonly requireLive: boolean;
  readonly maxAgeMs: number;
  /** How old a kept answer may be; 0 for none. Callers that bound no age are told what is so now. */
  readonly keptMaxMs: number;
  readonly wait: Token | undefined;
  readonly instancesMax: number;
  /** On the monotonic clock: ages grow from here. */
  readonly plannedMs: number;
}

/** Plans one resolution from read-only views. Changes nothing. */
export function planResolve(
  view: RouterView,
  app: string,
  options: ResolveOptions,
  now: Now,
  config: RouterConfig,
): Plan {
  checkRouterConfig(config);
  const wanted = options.regions === undefined ? undefined : new Set(options.regions);
  const isWanted = (region: string): boolean => wanted === undefined || wanted.has(region);
  const routes = view.fib.lookup(app);
  const indexed = routes
    .filter(({ region }) => isWanted(region))
    .map((route) => askOf(view, route.region, route, now, config));
  const doubtful = doubtfulRegions(view, routes, options, now, config).filter(({ region }) => isWanted(region));
  // A write that is waited for may be anywhere: then every region is a candidate like those that are indexed.
  const isWaiting = options.wait !== undefined;
  const candidates = order(view, app, isWaiting ? [...indexed, ...doubtful] : indexed, options.near);
  const { asks, unasked } = divide(candidates, config.candidatesMax);
  const probes = divide(order(view, app, isWaiting ? [] : doubtful, options.near), config.probesMax);
  return {
    app,
    asks: asks.length > 0 ? asks : probes.asks,
    fallback: asks.length > 0 ? probes.asks : [],
    unasked: unasked.filter(({ ask }) => ask.reason === "index"),
    missing: [
      ...[...unasked, ...probes.unasked]
        .filter(({ ask }) => ask.reason === "probe")
        .map(({ ask, note }) => ({ region: ask.region, reason: note })),
      ...gapsOf(view, routes, wanted),
    ],
    complete: view.complete && view.regions.size > 0, // With no region at all, the map is empty and not whole.
    requireLive: options.requireLive ?? false,
    maxAgeMs: options.maxAgeMs ?? Infinity,
    keptMaxMs: options.requireLive === true || options.wait !== undefined ? 0 : (options.maxAgeMs ?? 0),
    wait: options.wait,
    instancesMax: config.instancesMax,
    plannedMs: now.monotonicMs,
  };
}

/**
 * Regions without a route that may have the app all the same: silent ones, those that told of more apps than the map has of
 * them, and all while the map cannot be complete.
 */
function doubtfulRegions(
  view: RouterView,
  routes: readonly Route[],
  { wait }: ResolveOptions,
  now: Now,
  config: RouterConfig,
): Ask[] {
  const routed = new Set(routes.map(({ region }) => region));
  return [...view.regions.keys()]
    .filter((region) => !routed.has(region))
    .map((region) => askOf(view, region, undefined, now, config))
    .filter(({ region, grade }) => {
      return !view.complete || grade !== "fresh" || isPartial(view, region) || wait !== undefined;
    });
}

/** An index that was lost fills up again region by region, and each region's row may come before its apps. */
export function isPartial({ fib, regions }: RouterView, region: string): boolean {
  return fib.appsIn(region) < (regions.get(region)?.apps ?? 0);
}

function gapsOf(view: RouterView, routes: readonly Route[], wanted: ReadonlySet<string> | undefined): Missing[] {
  const routed = new Set(routes.map(({ region }) => region));
  const silent = (view.expected ?? []).filter((region) => !view.regions.has(region) && !routed.has(region));
  if (wanted === undefined) return silent.map((region) => ({ region, reason: "nothing was heard of it yet" }));
  const unknown = [...wanted].filter((region) => !view.regions.has(region) && !routed.has(region));
  const outside = [...routed].filter((region) => !wanted.has(region));
  return [
    ...unknown.map((region) => ({ region, reason: "no such region is known" })),
    ...outside.map((region) => ({ region, reason: "has the app, but is not among the regions asked for" })),
  ];
}

function askOf(view: RouterView, region: string, route: Route | undefined, now: Now, config: RouterConfig): Ask {
  const state = view.regions.get(region);
  return {
    region,
    apis: state?.apis ?? [],
    ...gradeOf(state, now, config),
    class: route?.class,
    generation: Math.max(route?.generation ?? 0, state?.generation ?? 0),
    reason: route === undefined ? "probe" : "index",
  };
}

function divide(ordered: readonly Ask[], asksMax: number): Pick<Plan, "asks" | "unasked"> {
  const reachable = ordered.filter(({ apis }) => apis.length > 0);
  const asks = reachable.slice(0, asksMax);
  const overLimit = reachable
    .slice(asksMax)
    .map((ask) => ({ ask, note: `not asked: more than ${asksMax} candidates` }));
  const silent = ordered.filter(({ apis }) => apis.length === 0);
  return { asks, unasked: [...overLimit, ...silent.map((ask) => ({ ask, note: "not asked: no address known" }))] };
}

const GRADE_RANKS: Readonly<Record<Ask["grade"], number>> = { fresh: 0, stale: 1, expired: 2 };

/** Expired last of all; then serving, near, fresh, quick; then a spread that differs from app to app, never by chance. */
function order(view: RouterView, app: string, asks: readonly Ask[], near: Near | undefined): Ask[] {
  const locationOf = (region: string): Location | undefined => view.regions.get(region)?.location;
  const turns = new Map(
    rendezvous(
      app,
      asks.map(({ region }) => region),
    ).map((region, turn) => [region, turn]),
  );
  const keyOf = (ask: Ask): readonly number[] => [
    ask.grade === "expired" ? 1 : 0,
    ask.class === "standby" ? 1 : 0,
    distanceTo(ask.region, near, locationOf),
    GRADE_RANKS[ask.grade],
    rttRank(view.rttMs?.(ask.region)),
    turns.get(ask.region) ?? 0,
  ];
  const keyed = asks.map((ask) => ({ ask, key: keyOf(ask) }));
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map(({ ask }) => ask);
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, i) => value !== b[i]);
  return index === -1 || (a[index] ?? 0) < (b[index] ?? 0) ? -1 : 1;
}
