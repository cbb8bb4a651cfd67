/**
 * The router: how soon it knows (`across-tiers.ts`), and how fast it answers from its map, against the hash map underneath,
 * and how much of an HTTP server's throughput is left when every request is a resolution. Load comes from a thread of its own.
 */
import { must, type Rng } from "@patina/base";
import {
  Answers,
  defaultRouterConfig,
  Fib,
  type GivenAnswer,
  type InstanceRow,
  type Placement,
  planResolve,
  RegionHealth,
  Resolution,
  type ResolveOptions,
  type RegionState,
  type RouterView,
} from "@patina/router";
import { systemNow } from "@patina/runtime";
import { HttpLoad, type HttpRate } from "../http-load.js";
import { type Figure, figure } from "../report.js";
import { interleave, perSecond } from "../rounds.js";
import { acrossTiers } from "./across-tiers.js";
import { routerBoot } from "./router-boot.js";
import { httpFigures, startRouter } from "./router-http.js";
import type { SuiteOptions } from "./suite.js";

const APPS = 100_000;
const REGIONS = ["ams", "fra", "iad", "nrt", "ord", "sea", "sin", "syd"] as const;
const INSTANCES = 3;
const CONNECTIONS = 32;
/** Apps asked for over HTTP: more than any cache line holds, few enough to name in a message to the thread. */
const ASKED_APPS = 1000;

const FULL = { rounds: 7, lookups: 1_000_000, plans: 100_000, httpMs: 2000 };
const QUICK = { rounds: 3, lookups: 200_000, plans: 20_000, httpMs: 350 };

export async function routerSuite(options: SuiteOptions): Promise<Figure[]> {
  return [...(await resolveFigures(options)), ...(await routerBoot(options)), ...(await acrossTiers(options))];
}

async function resolveFigures({ isQuick, rng }: SuiteOptions): Promise<Figure[]> {
  const { rounds, lookups, plans, httpMs } = isQuick ? QUICK : FULL;
  const names = Array.from({ length: APPS }, (_, i) => `app-${i}`);
  const view = viewOf(names, rng);
  const bareMap = new Map(names.map((name) => [name, view.fib.lookup(name)]));
  const asked = Array.from({ length: lookups }, () => must(rng.pick(names), "a name"));
  /** A few apps over and over: what kept answers are for. */
  const popular = (i: number): string => must(asked[i % ASKED_APPS], "a name");
  const machines = machinesOf(INSTANCES);
  const resolving = new Resolving(view, machines);
  const asking = (app: string): number => resolving.resolve(app, {}).regions.length;
  const keeping = (app: string): number => resolving.resolve(app, { maxAgeMs: 60_000 }).regions.length;
  const plan = (app: string): number => planResolve(view, app, {}, systemNow(), defaultRouterConfig).asks.length;

  const router = await startRouter(view, machines);
  const load = new HttpLoad();
  try {
    const paths = asked.slice(0, ASKED_APPS).map((name) => `/v1/apps/${name}/placement?near=iad`);
    const kept = paths.map((path) => `${path}&max_age=60`);
    const http = (wanted: readonly string[]) => async (): Promise<HttpRate> => {
      return load.run({ port: router.port, connections: CONNECTIONS, durationMs: httpMs, paths: wanted });
    };
    const results = await interleave(
      {
        map: () => perSecond(lookups, () => sink(asked, (app) => bareMap.get(app)?.length ?? 0)),
        fib: () => perSecond(lookups, () => sink(asked, (app) => view.fib.lookup(app).length)),
        plan: () => perSecond(plans, () => sink(asked.slice(0, plans), plan)),
        asking: () => perSecond(plans, () => sink(asked.slice(0, plans), asking)),
        keeping: () =>
          perSecond(plans, () =>
            sink(
              Array.from({ length: plans }, (_, i) => popular(i)),
              keeping,
            ),
          ),
      },
      { rounds, rng },
    );
    const overHttp = await interleave(
      { bareHttp: http(["/"]), askHttp: http(paths), keptHttp: http(kept) },
      { rounds, rng },
    );
    return [...figuresOf(results), ...httpFigures(overHttp)];
  } finally {
    await load.close();
    await router.close();
  }
}

type Results = Record<"map" | "fib" | "plan" | "asking" | "keeping", number[]>;

function figuresOf(results: Results): Figure[] {
  const map = { name: "bare Map.get, 100k apps", unit: "look-ups/s", values: results.map };
  const fib = { name: "Fib look-up, 100k apps", unit: "look-ups/s", values: results.fib };
  const plan = { name: "planResolve, 8 regions", unit: "plans/s", values: results.plan };
  const asking = { name: "resolution, regions' answers in memory", unit: "resolutions/s", values: results.asking };
  const keeping = { name: "resolution from kept answers", unit: "resolutions/s", values: results.keeping };
  return [
    figure(map),
    figure(fib, { versus: map, better: "more", goal: { of: "value", atLeast: 1_000_000 } }),
    figure(plan, { versus: fib, better: "more" }),
    figure(asking, { versus: plan, better: "more" }),
    figure(keeping, { versus: plan, better: "more" }),
  ];
}

/** Each app in one to three of the regions, all of them fresh. */
function viewOf(names: readonly string[], rng: Rng): RouterView {
  const fib = new Fib();
  for (const name of names) {
    const routes = rng
      .shuffle(REGIONS)
      .slice(0, 1 + rng.below(3))
      .map((region, i) => {
        return { region, class: i === 0 ? "serving" : "standby", generation: 1, highWater: 1n } as const;
      });
    fib.set(name, routes);
  }
  const { wallMs } = systemNow();
  const states = REGIONS.map((region): [string, RegionState] => {
    // Heard of a minute from now at the latest, so that no region grows stale while it is measured.
    const heartbeatMs = wallMs + defaultRouterConfig.clockSkewMaxMs / 2;
    return [region, { region, generation: 1, heartbeatMs, apps: 0, apis: [`http://${region}.internal:7421`] }];
  });
  return { fib, regions: new Map(states), complete: true };
}

/** The global agent's resolutions, but for the way to the regions: what they say is at hand, so that the router is measured. */
class Resolving {
  readonly #view: RouterView;
  readonly #machines: readonly InstanceRow[];
  readonly #parts = {
    health: new RegionHealth(defaultRouterConfig),
    answers: new Answers(defaultRouterConfig),
    config: defaultRouterConfig,
  };

  constructor(view: RouterView, machines: readonly InstanceRow[]) {
    this.#view = view;
    this.#machines = machines;
  }

  resolve(app: string, options: ResolveOptions): Placement {
    const now = systemNow();
    const resolution = new Resolution(planResolve(this.#view, app, options, now, defaultRouterConfig), this.#parts);
    const effects = resolution.start(now);
    for (const effect of effects) {
      if (effect.kind === "done") return effect.placement;
      if (effect.kind !== "ask") continue;
      const { region, api } = effect;
      const answer: GivenAnswer = { region, outcome: "here", generation: 1, machines: this.#machines, ageMs: 0 };
      effects.push(...resolution.handle({ kind: "answered", api, answer }, now));
    }
    throw new Error("a resolution ends");
  }
}

function machinesOf(count: number): InstanceRow[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `148e2d${i}b7a1c89`,
    app: "app-1",
    worker: `worker-${i}`,
    state: "started",
    address: `fdaa:0:18:a7b:${i}::2`,
    cpus: 2,
  }));
}

let total = 0;

/** Uses what each call gives, so that no compiler leaves the call out. */
function sink(names: readonly string[], call: (name: string) => number): void {
  for (const name of names) total += call(name);
  if (total < 0) throw new Error("counts are never negative");
}
