/**
 * Whom to ask about an app, in which order, and what an empty answer would mean.
 *
 *   FIB routes ──within `regions`──► asks, at most candidatesMax ──────► the rest: unasked, given as indexed
 *   regions without a route whose part of the map cannot be trusted ──► fallback, at most probesMax ──► the rest: missing
 *
 * The driver asks all `asks` (side by side, or hedged in order), and the `fallback` only if no region has the app.
 */
import { type Now, rendezvous } from "@patina/base";
import { checkRouterConfig, type RouterConfig } from "./config.js";
import type { Fib, PlacementClass, Route } from "./fib.js";
import { type Grade, gradeOf, type RegionState } from "./grade.js";

export interface ResolveOptions {
  /** This region goes first among equals. */
  readonly near?: string;
  /** Only these. What the index has elsewhere is named in `missing`, so that it is never taken for absent. */
  readonly regions?: readonly string[];
  /** Nothing older than this, in ms, from a region or from the index. */
  readonly maxAgeMs?: number;
  /** Only what a region itself says now. */
  readonly requireLive?: boolean;
}

export interface RouterView {
  readonly fib: Fib;
  readonly regions: ReadonlyMap<string, RegionState>;
  /** Whether the first sync with the global tier is done: before it, an empty map means nothing. */
  readonly complete: boolean;
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
  const { asks, unasked } = divide(order(app, indexed, options.near), config.candidatesMax);
  const doubtful = doubtfulRegions(view, routes, now, config).filter(({ region }) => isWanted(region));
  const probes = divide(order(app, doubtful, options.near), config.probesMax);
  return {
    app,
    asks: asks.length > 0 ? asks : probes.asks,
    fallback: asks.length > 0 ? probes.asks : [],
    unasked,
    missing: [
      ...probes.unasked.map(({ ask, note }) => ({ region: ask.region, reason: note })),
      ...gapsOf(view, routes, wanted),
    ],
    complete: view.complete,
    requireLive: options.requireLive ?? false,
    maxAgeMs: options.maxAgeMs ?? Infinity,
    instancesMax: config.instancesMax,
    plannedMs: now.monotonicMs,
  };
}

/** Regions without a route that may have the app all the same: silent ones, and all while the map is incomplete. */
function doubtfulRegions(view: RouterView, routes: readonly Route[], now: Now, config: RouterConfig): Ask[] {
  const routed = new Set(routes.map(({ region }) => region));
  return [...view.regions.keys()]
    .filter((region) => !routed.has(region))
    .map((region) => askOf(view, region, undefined, now, config))
    .filter(({ grade }) => !view.complete || grade !== "fresh");
}

function gapsOf(view: RouterView, routes: readonly Route[], wanted: ReadonlySet<string> | undefined): Missing[] {
  if (wanted === undefined) return [];
  const routed = new Set(routes.map(({ region }) => region));
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

/** Expired last of all; then serving, near, fresh; then a spread that differs from app to app and never by chance. */
function order(app: string, asks: readonly Ask[], near: string | undefined): Ask[] {
  const turns = new Map(
    rendezvous(
      app,
      asks.map(({ region }) => region),
    ).map((region, turn) => [region, turn]),
  );
  const keyOf = (ask: Ask): readonly number[] => [
    ask.grade === "expired" ? 1 : 0,
    ask.class === "standby" ? 1 : 0,
    ask.region === near ? 0 : 1,
    GRADE_RANKS[ask.grade],
    turns.get(ask.region) ?? 0,
  ];
  const keyed = asks.map((ask) => ({ ask, key: keyOf(ask) }));
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map(({ ask }) => ask);
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, i) => value !== b[i]);
  return index === -1 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}
