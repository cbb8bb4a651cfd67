/** What stands against what a resolution of that moment gives: whatever changes in between, the two say the same, or nothing stands. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { testRouterConfig } from "../config.js";
import { Fib, type Route } from "../fib.js";
import type { RegionState } from "../grade.js";
import type { Placement } from "../merge.js";
import { Outlook } from "../outlook.js";
import { planResolve, type RouterView } from "../plan.js";
import { RegionHealth } from "../regions/region-health.js";
import { Answers } from "./answers.js";
import { Resolution, type ResolutionEffect } from "./resolution.js";
import { Standing } from "./standing.js";

/** Answers grow too old before regions do, and there is room for one of every region for either app. */
const config = { ...testRouterConfig, answerMaxMs: 50, answersMax: 6 };
const APPS = ["web", "db"];
const REGIONS = ["fra", "iad", "sin"];
const WANTED = { maxAgeMs: config.answerMaxMs * 2 };
const STARTED_MS = 1_700_000_000_000;

/** A router between its map and its kept answers, with all that can change under a resolution. */
class World {
  readonly fib = new Fib();
  readonly regions = new Map<string, RegionState>();
  readonly answers = new Answers(config);
  readonly rtts = new Map<string, number>();
  readonly outlook = new Outlook();
  readonly switches: object[] = [];
  complete = true;
  expected: string[] = [];
  monotonicMs = 1000;

  get now() {
    return { monotonicMs: this.monotonicMs, wallMs: STARTED_MS + this.monotonicMs };
  }

  get view(): RouterView {
    const { fib, regions, complete, expected } = this;
    return { fib, regions, complete, expected, rttMs: (region) => this.rtts.get(region) };
  }

  get ground() {
    const edition = this.outlook.edition(this.view, this.now, config, this.switches);
    return { edition, fib: this.fib, answers: this.answers };
  }

  beat(region: string, generation: number, agoMs = 0): void {
    const heartbeatMs = this.now.wallMs - agoMs;
    this.regions.set(region, { region, generation, heartbeatMs, apps: this.fib.appsIn(region), apis: [`${region}-0`] });
  }

  answer(app: string, region: string, isHere: boolean, generation: number): void {
    const said = isHere ? ({ outcome: "here", machines: [{ id: `${app}@${region}` }], ageMs: 0 } as const) : ({ outcome: "not-here" } as const); // prettier-ignore
    this.answers.keep(app, { region, generation, ...said }, this.monotonicMs);
  }

  /** Undefined where somebody has to be asked. */
  resolve(app: string) {
    const plan = planResolve(this.view, app, WANTED, this.now, config);
    const resolution = new Resolution(plan, { health: new RegionHealth(config), answers: this.answers, config });
    if (!resolution.needsNobody(this.now)) return undefined;
    const done = resolution.start(this.now)[0] as Extract<ResolutionEffect, { kind: "done" }>;
    return { placement: done.placement, standing: Standing.of(plan, done, this.ground) };
  }

  told(standing: Standing): Placement | undefined {
    const ages = standing.agesAt(this.monotonicMs, this.ground);
    if (ages === undefined) return undefined;
    const { placement } = standing.done;
    return { ...placement, regions: placement.regions.map((region, i) => ({ ...region, ageMs: ages[i] ?? NaN })) };
  }
}

const app = fc.constantFrom(...APPS);
const region = fc.constantFrom(...REGIONS);
const generation = fc.constantFrom(1, 1, 1, 2);
const route = fc.record({
  region,
  class: fc.constantFrom("serving", "standby"),
  generation,
  highWater: fc.constant(1n),
}) satisfies fc.Arbitrary<Route>;
const routes = fc.uniqueArray(route, { selector: (each) => each.region, maxLength: 3 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 8 }).map((ms) => (world: World) => void (world.monotonicMs += ms)) }, // prettier-ignore
  { weight: 1, arbitrary: fc.constant((world: World) => void (world.monotonicMs += config.answerMaxMs)) },
  { weight: 4, arbitrary: fc.tuple(app, region, fc.boolean(), generation).map((args) => (world: World) => world.answer(...args)) }, // prettier-ignore
  {
    weight: 2,
    arbitrary: fc.tuple(app, routes).map(
      ([name, to]) =>
        (world: World) =>
          world.fib.set(name, to),
    ),
  },
  { weight: 1, arbitrary: app.map((name) => (world: World) => world.answers.forget(name)) },
  { weight: 2, arbitrary: fc.tuple(region, generation, fc.constantFrom(0, 0, config.freshMs, config.staleMs * 2)).map((args) => (world: World) => world.beat(...args)) }, // prettier-ignore
  { weight: 1, arbitrary: region.map((name) => (world: World) => void world.regions.delete(name)) },
  { weight: 1, arbitrary: fc.boolean().map((complete) => (world: World) => void (world.complete = complete)) },
  { weight: 1, arbitrary: fc.subarray(REGIONS).map((expected) => (world: World) => void (world.expected = expected)) },
  { weight: 1, arbitrary: fc.tuple(region, fc.constantFrom(1, 2, 40, 400)).map(([name, ms]) => (world: World) => void world.rtts.set(name, ms)) }, // prettier-ignore
);

test("says what a resolution of that moment says, after any changes, or no longer stands", () => {
  let [told, fell] = [0, 0];
  const run = (steps: readonly ((world: World) => void)[]): void => {
    const world = new World();
    for (const name of REGIONS) world.beat(name, 1);
    for (const name of APPS) world.fib.set(name, [{ region: "iad", class: "serving", generation: 1, highWater: 1n }]);
    for (const name of APPS) for (const at of REGIONS) world.answer(name, at, at !== "sin", 1);
    const standing = new Map<string, Standing>();
    for (const change of steps) {
      change(world);
      for (const name of APPS) {
        const stands = standing.get(name);
        const again = stands === undefined ? undefined : world.told(stands);
        const anew = world.resolve(name);
        if (again !== undefined) expect(again).toEqual(anew?.placement);
        if (again !== undefined) told++;
        else if (stands !== undefined) fell++;
        if (again === undefined && anew?.standing !== undefined) standing.set(name, anew.standing);
        else if (again === undefined) standing.delete(name);
      }
    }
  };
  fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), run), { numRuns: 1500 });
  expect(told).toBeGreaterThan(2000);
  expect(fell).toBeGreaterThan(500);
});

test("stands while nothing changes, and not on an answer of this very moment, which counts as live", () => {
  const world = new World();
  for (const name of REGIONS) world.beat(name, 1);
  world.fib.set("web", [{ region: "iad", class: "serving", generation: 1, highWater: 1n }]);
  world.answer("web", "iad", true, 1);
  expect(world.resolve("web")?.standing).toBeUndefined();
  world.monotonicMs += 1;
  const standing = world.resolve("web")?.standing;
  expect(standing?.agesAt(world.monotonicMs, world.ground)).toEqual([1]);
  world.monotonicMs += 1.5;
  expect(standing?.agesAt(world.monotonicMs, world.ground)).toEqual([3]);
  world.switches.push({});
  expect(standing?.agesAt(world.monotonicMs, world.ground)).toBeUndefined();
});

test.each([
  ["fra", "iad"],
  ["iad", "fra"],
])("stands no longer than the oldest answer may be old, be it of %s or %s", (older, newer) => {
  const world = new World();
  for (const name of REGIONS) world.beat(name, 1);
  world.fib.set("web", ["fra", "iad"].map((name) => ({ region: name, class: "serving", generation: 1, highWater: 1n }) as const)); // prettier-ignore
  world.answer("web", older, true, 1);
  world.monotonicMs += 2;
  world.answer("web", newer, true, 1);
  world.monotonicMs += 1;
  const standing = world.resolve("web")?.standing;
  world.monotonicMs += config.answerMaxMs - 3;
  expect(standing?.agesAt(world.monotonicMs, world.ground)?.length).toBe(2);
  world.monotonicMs += 1;
  expect(standing?.agesAt(world.monotonicMs, world.ground)).toBeUndefined();
});
