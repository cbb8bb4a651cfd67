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
import { type Judged, judgePlacement, judgeRegion, type PlacementRow, type RegionRow } from "./rows.js";
import { switchedOff, type Switches } from "./switches.js";

/** A row as it lies in the tables, unjudged, with the origin that wrote it. The placements' own clock is the region's. */
export type StoredPlacement = PlacementRow & { readonly origin: SqlValue };
export type StoredRegion = RegionRow & {
  readonly epoch: SqlValue;
  readonly hlc: SqlValue;
  readonly origin: SqlValue;
};

/** The tables of the global tier, as this agent has them. */
export interface RibRows {
  /** In the order of app and region; of one app when it is given. */
  placements(app?: string): readonly StoredPlacement[];
  /** In the order of region; one when it is given. */
  regions(region?: string): readonly StoredRegion[];
}

/** Knows, even after the process has ended over it, what was being taken. */
export interface TakingJournal {
  readonly interrupted: readonly string[];
  during(states: readonly string[], take: () => void): void;
}

/** Apps taken into the map at a time while it is loaded. */
const LOAD_APPS = 1000;

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

  /** Takes every row: at the start, once those who follow are there, and anew after something was switched on again. */
  reload(): void {
    const toldByApp = new Map<string, Told<Route>[]>();
    for (const row of this.#options.rows.placements()) {
      const told = placementOf(row);
      const app = must(told.name.app, "an app");
      const known = toldByApp.get(app);
      if (known === undefined) toldByApp.set(app, [told]);
      else known.push(told);
    }
    for (const row of this.#options.rows.regions()) this.#takeRegion(regionOf(row));
    const interrupted = new Set(this.#options.journal.interrupted);
    const gone = [...this.fib.apps()].filter((app) => !toldByApp.has(app));
    const apps = [...toldByApp, ...gone.map((app) => [app, []] as [string, Told<Route>[]])];
    const isDoubtful = ([, rows]: (typeof apps)[number]): boolean => rows.some(({ state }) => interrupted.has(state));
    // What was being taken when the process ended is taken alone now: if it is the cause, the next start knows which.
    for (const doubtful of apps.filter(isDoubtful)) this.#takeApps([doubtful]);
    const rest = apps.filter((each) => !isDoubtful(each));
    for (let i = 0; i < rest.length; i += LOAD_APPS) this.#takeApps(rest.slice(i, i + LOAD_APPS));
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

/** Names one state of one row. */
function stateOf({ table, app, region }: RowName, clock: Pick<StoredPlacement, "epoch" | "hlc">): string {
  return JSON.stringify([table, app ?? null, region, String(clock.epoch), String(clock.hlc)]);
}
