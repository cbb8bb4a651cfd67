/**
 * The tables of the global tier as the router needs them: the map it resolves from, kept current row by row, and the
 * regions' heartbeats. It is built from the local tables alone, so it is there before any network is.
 *
 *   row ──switched off?──► judged ──good──► journal ──► map, and whoever follows it
 *                │            └──bad──► quarantine: the map keeps the row's last good state, its region is told
 *                └──► the map keeps what it has
 */
import { type ChangedRow, must, type SqlValue } from "@patina/base";
import { Fib, type Route } from "../fib.js";
import type { RegionState } from "../grade.js";
import type { Quarantine, QuarantinedRow, RowName } from "./quarantine.js";
import { appOfState, stateOf } from "./row-state.js";
import { type Judged, judgePlacement, judgeRegion, type PlacementRow, type RegionRow } from "./rows.js";
import { switchedOff, type Switches } from "./switches.js";

/** A row as it lies in the tables, unjudged, with the origin that wrote it. The placements' own clock is the region's. */
export type StoredPlacement = PlacementRow & { readonly origin: SqlValue };
export type StoredRegion = RegionRow & {
  readonly epoch: SqlValue;
  readonly hlc: SqlValue;
  readonly origin: SqlValue;
};

/** Where a page ended, for who made it alone: what a damaged row has for a name need not be text, nor its text be any. */
export interface PageEnd {
  readonly name: SqlValue;
  readonly isText: boolean;
}

export interface PlacementsPage {
  readonly rows: readonly StoredPlacement[];
  /** Undefined after the last one. */
  readonly next: PageEnd | undefined;
}

/** The tables of the global tier, as this agent has them. */
export interface RibRows {
  /** Of one app, in the order of region. */
  placements(app: string): readonly StoredPlacement[];
  /** Of the next apps, each whole, in the order of app and region. `after` is the page before's `next`; without it, the first. */
  placementsPage(after: PageEnd | undefined, appsMax: number): PlacementsPage;
  /** In the order of region; one when it is given. */
  regions(region?: string): readonly StoredRegion[];
}

/** Knows, even after the process has ended over it, what was being taken. */
export interface TakingJournal {
  readonly interrupted: readonly string[];
  during(states: readonly string[], take: () => void): void;
}

/** Apps taken into the map at a time while it is loaded: all that a load holds beside the map, and a reload its names. */
const LOAD_APPS = 500;

export interface RibOptions {
  readonly rows: RibRows;
  readonly journal: TakingJournal;
  readonly quarantine: Quarantine;
  readonly switches: () => Switches;
  readonly wallMs: () => number;
  /** A row was put aside. */
  readonly onQuarantined: (row: QuarantinedRow) => void;
}

interface Told<T> {
  readonly name: RowName;
  readonly state: string;
  readonly origin: string;
  readonly judged: Judged<T>;
}

export class Rib {
  readonly fib = new Fib();
  readonly regions = new Map<string, RegionState>();
  readonly quarantine: Quarantine;
  readonly #options: RibOptions;
  readonly #followers = new Set<(app: string) => void>();

  constructor(options: RibOptions) {
    this.#options = options;
    this.quarantine = options.quarantine;
  }

  /** Told of every app whose routes changed, in the middle of the change: what it throws ends the process. */
  follow(onApp: (app: string) => void): () => void {
    this.#followers.add(onApp);
    return () => this.#followers.delete(onApp);
  }

  /** Takes every row, at the start, once those who follow are there. */
  reload(): void {
    for (const _ of this.reloading());
  }

  /** The same in pieces, for a process that serves: after something was switched on again. */
  *reloading(): Generator<void, void, undefined> {
    const { rows } = this.#options;
    for (const row of rows.regions()) this.#takeRegion(regionOf(row));
    const doubtful = this.#takeInterrupted();
    const gone = new Set(this.fib.apps());
    for (let page = rows.placementsPage(undefined, LOAD_APPS); ; page = rows.placementsPage(page.next, LOAD_APPS)) {
      const told = toldByApp(page.rows);
      for (const app of told.keys()) gone.delete(app);
      this.#takeApps([...told].filter(([app]) => !doubtful.has(app)));
      if (page.next === undefined) break;
      yield;
    }
    yield* this.#reloadingGone([...gone]);
  }

  /** Apps without a row when their page was read. They are read again: between two pieces one may have come back. */
  *#reloadingGone(gone: readonly string[]): Generator<void, void, undefined> {
    for (let at = 0; at < gone.length; at += LOAD_APPS) {
      yield;
      const some = gone.slice(at, at + LOAD_APPS);
      this.#takeApps(some.map((app) => [app, this.#options.rows.placements(app).map(placementOf)]));
    }
  }

  /** What was being taken when the process ended is taken before other apps, and alone: if it is the cause, the next start knows which. */
  #takeInterrupted(): ReadonlySet<string> {
    const { rows, journal } = this.#options;
    const interrupted = new Set(journal.interrupted);
    const apps = new Set(journal.interrupted.flatMap((state) => appOfState(state) ?? []));
    for (const app of apps) {
      const told = rows.placements(app).map(placementOf);
      if (told.some(({ state }) => interrupted.has(state))) this.#takeApps([[app, told]]);
      else apps.delete(app);
    }
    return apps;
  }

  /** Follows committed rows. */
  onChanged(rows: readonly ChangedRow[]): void {
    const apps = new Map<string, string[]>();
    for (const { table, key } of rows) {
      const [name, region] = key.map(String);
      if (table === "placements")
        apps.set(must(name, "an app"), [...(apps.get(must(name, "an app")) ?? []), must(region, "a region")]);
      else if (table === "regions") this.#reloadRegion(must(name, "a region"));
    }
    for (const [app, changed] of apps) this.#reloadApp(app, new Set(changed));
  }

  #reloadApp(app: string, changed: ReadonlySet<string>): void {
    const told = this.#options.rows.placements(app).map(placementOf);
    const there = new Set(told.map(({ name }) => name.region));
    for (const region of changed) {
      if (!there.has(region)) this.quarantine.release({ table: "placements", app, region });
    }
    this.#takeApps([[app, told]], changed);
  }

  /** `changed`: the regions whose rows are new to the map; all of them when left out. */
  #takeApps(apps: readonly (readonly [string, readonly Told<Route>[]])[], changed?: ReadonlySet<string>): void {
    const taken = apps.map(([app, rows]) => [app, this.#routesOf(app, rows)] as const);
    const states = apps.flatMap(([, rows]) => {
      return rows.filter(({ name }) => changed?.has(name.region) !== false).map(({ state }) => state);
    });
    this.#options.journal.during(states, () => {
      for (const [app, routes] of taken) {
        this.fib.set(app, routes);
        for (const onApp of this.#followers) onApp(app);
      }
    });
  }

  #routesOf(app: string, rows: readonly Told<Route>[]): Route[] {
    const before = new Map(this.fib.lookup(app).map((route) => [route.region, route]));
    const there = new Set(rows.map(({ name }) => name.region));
    const isOff = (region: string): boolean => {
      return switchedOff(this.#options.switches(), { table: "placements", region, origin: "" }) !== undefined;
    };
    const kept = [...before.values()].filter(({ region }) => !there.has(region) && isOff(region));
    return [...rows.flatMap((told) => this.#admit(told, before.get(told.name.region)) ?? []), ...kept];
  }

  #reloadRegion(region: string): void {
    const [row] = this.#options.rows.regions(region);
    if (row !== undefined) return this.#takeRegion(regionOf(row));
    this.quarantine.release({ table: "regions", app: undefined, region });
    this.regions.delete(region);
  }

  #takeRegion(told: Told<RegionState>): void {
    const { region } = told.name;
    const state = this.#admit(told, this.regions.get(region));
    this.#options.journal.during([told.state], () => {
      if (state !== undefined) this.regions.set(region, state);
    });
  }

  /** What of this row goes into the map: itself, its last good state, or nothing. */
  #admit<T extends Route | RegionState>(told: Told<T>, before: T | undefined): T | undefined {
    const { name, state, origin, judged } = told;
    const inPlace = before ?? (this.quarantine.lastGood(name) as T | undefined);
    if (switchedOff(this.#options.switches(), { ...name, origin }) !== undefined) return inPlace;
    const reason = this.quarantine.isSuspect(state)
      ? "the process ended while taking this row"
      : "bad" in judged
        ? judged.bad
        : undefined;
    if (reason === undefined) {
      this.quarantine.release(name);
      return "good" in judged ? judged.good : undefined;
    }
    const row = { ...name, reason, state, origin, sinceMs: this.#options.wallMs(), lastGood: inPlace };
    if (this.quarantine.put(row)) this.#options.onQuarantined(row);
    return inPlace;
  }
}

function placementOf(row: StoredPlacement): Told<Route> {
  const name = { table: "placements", app: String(row.app), region: String(row.region) };
  return { name, state: stateOf(name, row), origin: String(row.origin), judged: judgePlacement(row) };
}

function regionOf(row: StoredRegion): Told<RegionState> {
  const name = { table: "regions", app: undefined, region: String(row.region) };
  return { name, state: stateOf(name, row), origin: String(row.origin), judged: judgeRegion(row) };
}

function toldByApp(rows: readonly StoredPlacement[]): Map<string, Told<Route>[]> {
  const byApp = new Map<string, Told<Route>[]>();
  for (const told of rows.map(placementOf)) {
    const app = must(told.name.app, "an app");
    const known = byApp.get(app);
    if (known === undefined) byApp.set(app, [told]);
    else known.push(told);
  }
  return byApp;
}
