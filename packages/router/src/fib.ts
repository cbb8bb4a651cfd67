/**
 * The forwarding map: which regions have an app, built from the rows of the global tier and read on every resolution.
 * Kept apart from the tables (the RIB) so that a look-up is one hash probe, whatever the applier is doing. Each app's
 * routes are one frozen array, swapped whole: a reader holds the old list or the new one, never a mixture.
 */
import { assert, type Hlc } from "@patina/base";

export type PlacementClass = "serving" | "standby";

/** One row of the index: the region says that it has the app. */
export interface Route {
  readonly region: string;
  readonly class: PlacementClass;
  /** The region's generation when it said so. */
  readonly generation: number;
  readonly highWater: Hlc;
}

const NO_ROUTES: readonly Route[] = Object.freeze([]);

export class Fib {
  readonly #routesByApp = new Map<string, readonly Route[]>();
  readonly #appsByRegion = new Map<string, number>();
  #edition = {};

  /** Another object after every change: who has compared needs not compare again while it is the same. */
  get edition(): object {
    return this.#edition;
  }

  /** How many apps have a route. The rows of the global tier bound it. */
  get size(): number {
    return this.#routesByApp.size;
  }

  /** How many apps have a route to this region. */
  appsIn(region: string): number {
    return this.#appsByRegion.get(region) ?? 0;
  }

  /** Replaces all routes of the app; with none the app is forgotten. At most one route per region. */
  set(app: string, routes: readonly Route[]): void {
    assert(new Set(routes.map(({ region }) => region)).size === routes.length, "one route per app and region");
    this.#edition = {};
    for (const { region } of this.lookup(app)) this.#count(region, -1);
    for (const { region } of routes) this.#count(region, 1);
    if (routes.length === 0) this.#routesByApp.delete(app);
    else this.#routesByApp.set(app, Object.freeze([...routes]));
  }

  /** The routes of the app, none for an unknown one. Never changes after it was returned. */
  lookup(app: string): readonly Route[] {
    return this.#routesByApp.get(app) ?? NO_ROUTES;
  }

  /** The apps whose names begin with `prefix`, in the order of their arrival. */
  *apps(prefix = ""): Generator<string, void, undefined> {
    for (const app of this.#routesByApp.keys()) if (app.startsWith(prefix)) yield app;
  }

  #count(region: string, by: number): void {
    const apps = this.appsIn(region) + by;
    if (apps === 0) this.#appsByRegion.delete(region);
    else this.#appsByRegion.set(region, apps);
  }
}
