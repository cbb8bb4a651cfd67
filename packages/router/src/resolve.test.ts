/** A whole resolution: the plan, what the regions answer, and what is made of it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultRouterConfig, testRouterConfig } from "./config.js";
import { Fib, type PlacementClass } from "./fib.js";
import type { RegionState } from "./grade.js";
import { correctionsOf, mergeAnswers, type Placement, type RegionAnswer } from "./merge.js";
import { type Plan, planResolve, type ResolveOptions, type RouterView } from "./plan.js";

const NOW = { monotonicMs: 1_000, wallMs: 1_700_000_000_000 };
const AGES = { fresh: 1_000, stale: 60_000, expired: 3_600_000 } as const;

type Age = keyof typeof AGES;

interface World {
  readonly regions: Readonly<Record<string, Age>>;
  readonly routes?: Readonly<Record<string, PlacementClass>>;
  readonly complete?: boolean;
}

function viewOf({ regions, routes = {}, complete = true }: World): RouterView {
  const fib = new Fib();
  const rows = Object.entries(routes).map(([region, placement]) => {
    return { region, class: placement, generation: 1, highWater: 1n };
  });
  fib.set("web", rows);
  const states = Object.entries(regions).map(([region, age]): [string, RegionState] => {
    return [
      region,
      { region, generation: 1, heartbeatMs: NOW.wallMs - AGES[age], apps: 0, apis: [`http://${region}`] },
    ];
  });
  return { fib, regions: new Map(states), complete };
}

const plan = (world: World, options: ResolveOptions = {}): Plan => {
  return planResolve(viewOf(world), "web", options, NOW, defaultRouterConfig);
};
const regionsOf = (asks: readonly { readonly region: string }[]): string[] => asks.map(({ region }) => region);
const here = (region: string, generation = 1): RegionAnswer => {
  return { region, outcome: "here", generation, machines: [{ id: `${region}-1` }], ageMs: 0 };
};
const notHere = (region: string, generation = 1): RegionAnswer => ({ region, outcome: "not-here", generation });
const unreachable = (region: string): RegionAnswer => ({ region, outcome: "unreachable", reason: "timed out" });

describe("a plan", () => {
  test("asks serving before standby, near before far, and fresh before stale; expired regions come last", () => {
    const world: World = {
      regions: { a: "expired", b: "stale", c: "fresh", d: "stale", e: "fresh" },
      routes: { a: "serving", b: "serving", c: "serving", d: "serving", e: "standby" },
    };
    const order = regionsOf(plan(world, { near: "d" }).asks);
    expect(order).toEqual(["d", "c", "b", "e", "a"]);
  });

  test("spreads apps over equal regions, each app always the same way", () => {
    const view = viewOf({ regions: { a: "fresh", b: "fresh", c: "fresh" } });
    const routes = ["a", "b", "c"].map((region) => {
      return { region, class: "serving" as const, generation: 1, highWater: 1n };
    });
    const firsts = Array.from({ length: 60 }, (_, i) => {
      view.fib.set(`app-${i}`, routes);
      return planResolve(view, `app-${i}`, {}, NOW, defaultRouterConfig).asks[0]?.region;
    });
    for (const region of ["a", "b", "c"]) expect(firsts.filter((each) => each === region).length).toBeGreaterThan(9);
    expect(planResolve(view, "app-0", {}, NOW, defaultRouterConfig).asks[0]?.region).toBe(firsts[0]);
  });

  test("asks nobody about an app that a complete, fresh map does not have", () => {
    const made = plan({ regions: { a: "fresh", b: "fresh" } });
    expect([made.asks, made.fallback]).toEqual([[], []]);
    expect(mergeAnswers(made, [], NOW)).toMatchObject({ result: "absent", complete: true, missing: [] });
  });

  test("probes at most so many silent regions, and names the rest", () => {
    const made = plan({ regions: { a: "stale", b: "stale", c: "stale", d: "stale", e: "fresh" } });
    expect(made.asks).toHaveLength(defaultRouterConfig.probesMax);
    expect(made.asks.every(({ reason }) => reason === "probe")).toBe(true);
    expect(made.missing).toHaveLength(1);
    expect(regionsOf([...made.asks, ...made.missing]).sort((a, b) => (a < b ? -1 : 1))).toEqual(["a", "b", "c", "d"]);
  });

  test("probes fresh regions too while the first sync is not done", () => {
    expect(regionsOf(plan({ regions: { a: "fresh" }, complete: false }).asks)).toEqual(["a"]);
  });

  test("keeps its probes for when the indexed regions have failed", () => {
    const made = plan({ regions: { a: "fresh", b: "stale" }, routes: { a: "serving" } });
    expect([regionsOf(made.asks), regionsOf(made.fallback)]).toEqual([["a"], ["b"]]);
  });

  test("asks the only candidate even if it is expired", () => {
    expect(regionsOf(plan({ regions: { a: "expired" }, routes: { a: "standby" } }).asks)).toEqual(["a"]);
  });
});

describe("an answer", () => {
  const both: World = { regions: { a: "fresh", b: "stale" }, routes: { a: "serving", b: "serving" } };

  test("of a region is live and carries its instances", () => {
    expect(mergeAnswers(plan(both), [here("b"), here("a")], NOW)).toEqual({
      app: "web",
      result: "found",
      complete: true,
      regions: [
        { region: "a", class: "serving", grade: "live", ageMs: 0, source: "region", instances: [{ id: "a-1" }] },
        { region: "b", class: "serving", grade: "live", ageMs: 0, source: "region", instances: [{ id: "b-1" }] },
      ],
      missing: [],
    });
  });

  test("that does not come costs nobody else's rows: the index stands in, aged and named", () => {
    const later = { ...NOW, monotonicMs: NOW.monotonicMs + 500 };
    const placement = mergeAnswers(plan(both), [unreachable("a"), here("b")], later);
    expect(placement).toMatchObject({ result: "found", complete: false });
    expect(placement.regions).toMatchObject([
      { region: "b", source: "region" },
      { region: "a", source: "index", grade: "fresh", ageMs: AGES.fresh + 500, instances: [], note: "timed out" },
    ]);
    expect(placement.missing).toEqual([{ region: "a", reason: "timed out" }]);
  });

  test("of not here removes the region, and is fed back", () => {
    const made = plan(both);
    const answers = [notHere("a"), here("b")];
    expect(regionsOf(mergeAnswers(made, answers, NOW).regions)).toEqual(["b"]);
    expect(correctionsOf(made, answers)).toEqual([{ app: "web", region: "a", generation: 1 }]);
  });

  test("of a generation that was rolled back counts for nothing, either way", () => {
    const made = plan(both);
    for (const answer of [notHere("a", 0), here("a", 0)]) {
      const placement = mergeAnswers(made, [answer, here("b")], NOW);
      expect(placement.regions.map(({ source }) => source)).toEqual(["region", "index"]);
      expect(correctionsOf(made, [answer])).toEqual([]);
    }
  });

  test("of every region denying the app makes it absent, but not while a silent one was not asked", () => {
    const fresh = plan({ regions: { a: "fresh" }, routes: { a: "serving" } });
    expect(mergeAnswers(fresh, [notHere("a")], NOW)).toMatchObject({ result: "absent", complete: true });
    const doubtful = plan({ regions: { a: "fresh", b: "stale" }, routes: { a: "serving" } });
    const unasked = mergeAnswers(doubtful, [notHere("a")], NOW);
    expect(unasked).toMatchObject({ result: "unknown", missing: [{ region: "b" }] });
    expect(mergeAnswers(doubtful, [notHere("a"), notHere("b")], NOW).result).toBe("absent");
    expect(mergeAnswers(doubtful, [notHere("a"), here("b")], NOW)).toMatchObject({ result: "found", complete: true });
  });

  test("of a denial by a region that has no route is no correction", () => {
    expect(correctionsOf(plan({ regions: { a: "stale" } }), [notHere("a")])).toEqual([]);
  });

  test("of a region that was not asked does not count", () => {
    expect(mergeAnswers(plan({ regions: { a: "fresh" } }), [here("a")], NOW).result).toBe("absent");
  });

  test("with more instances than the limit is cut, and says so", () => {
    const made = planResolve(viewOf(both), "web", {}, NOW, testRouterConfig);
    const machines = [{ id: 1 }, { id: 2 }, { id: 3 }];
    const answer: RegionAnswer = { region: "a", outcome: "here", generation: 1, machines, ageMs: 0 };
    expect(mergeAnswers(made, [answer], NOW).regions[0]).toMatchObject({
      instances: [{ id: 1 }, { id: 2 }],
      note: "the first 2 of 3 instances",
    });
  });
});

describe("a caller", () => {
  const stale: World = { regions: { a: "stale", b: "fresh" }, routes: { a: "serving" } };

  test("who takes only live answers gets no row from the index, but the reason", () => {
    const placement = mergeAnswers(plan(stale, { requireLive: true }), [unreachable("a")], NOW);
    expect(placement).toMatchObject({ result: "unknown", regions: [], missing: [{ region: "a" }] });
    expect(placement.missing[0]?.reason).toContain("only live answers");
  });

  test("who bounds the age gets neither an older row of the index nor an older answer", () => {
    const made = plan(stale, { maxAgeMs: 30_000 });
    expect(mergeAnswers(made, [unreachable("a")], NOW)).toMatchObject({ result: "unknown", regions: [] });
    const old: RegionAnswer = { region: "a", outcome: "here", generation: 1, machines: [], ageMs: 30_001 };
    expect(mergeAnswers(made, [old], NOW)).toMatchObject({ result: "unknown", missing: [{ region: "a" }] });
    expect(mergeAnswers(plan(stale, { maxAgeMs: 60_000 }), [unreachable("a")], NOW).result).toBe("found");
  });

  test("who names regions is told of those that do not exist and of those left out", () => {
    const placement = mergeAnswers(plan(stale, { regions: ["b", "mars"] }), [], NOW);
    expect(placement.result).toBe("unknown");
    expect(regionsOf(placement.missing)).toEqual(["mars", "a"]);
  });

  test("gets every indexed region, though only so many are asked", () => {
    const regions = { a: "fresh", b: "fresh", c: "fresh" } as const;
    const world: World = { regions, routes: { a: "serving", b: "serving", c: "serving" } };
    const made = planResolve(viewOf(world), "web", {}, NOW, testRouterConfig);
    expect(made.asks).toHaveLength(testRouterConfig.candidatesMax);
    const placement = mergeAnswers(
      made,
      made.asks.map(({ region }) => here(region)),
      NOW,
    );
    expect(placement.regions.map(({ source }) => source)).toEqual(["region", "region", "index"]);
    expect(placement.complete).toBe(false);
  });
});

const names = ["a", "b", "c", "d", "e"];
const age = fc.constantFrom<Age>("fresh", "stale", "expired");
const placementClass = fc.constantFrom<PlacementClass>("serving", "standby");
const anyWorld = fc.record({
  regions: fc.dictionary(fc.constantFrom(...names), age, { noNullPrototype: true }),
  routes: fc.dictionary(fc.constantFrom(...names), placementClass, { noNullPrototype: true }),
  complete: fc.boolean(),
});
const anyOptions = fc.record(
  {
    near: fc.constantFrom(...names),
    regions: fc.subarray([...names, "mars"]),
    maxAgeMs: fc.nat(4_000_000),
    requireLive: fc.boolean(),
  },
  { requiredKeys: [] },
);
const anyAnswers = fc.array(
  fc.tuple(fc.constantFrom(...names), fc.nat(2), fc.nat(2)).map(([region, outcome, generation]) => {
    return [here(region, generation), notHere(region, generation), unreachable(region)][outcome] ?? here(region);
  }),
  { maxLength: 8 },
);

describe("whatever the map, the question and the answers", () => {
  const holds = (check: (world: World, made: Plan, answers: readonly RegionAnswer[], placement: Placement) => void) => {
    const property = fc.property(anyWorld, anyOptions, anyAnswers, fc.boolean(), (world, options, answers, isTiny) => {
      const config = isTiny ? { ...testRouterConfig, freshMs: 15_000, staleMs: 600_000 } : defaultRouterConfig;
      const made = planResolve(viewOf(world), "web", options, NOW, config);
      check(world, made, answers, mergeAnswers(made, answers, NOW));
    });
    fc.assert(property, { numRuns: 2_000 });
  };

  test("an app is never absent while a route of it stands undenied", () => {
    holds((world, _, answers, placement) => {
      const denied = new Set(answers.filter((answer) => answer.outcome === "not-here").map(({ region }) => region));
      const standing = Object.keys(world.routes ?? {}).filter((region) => !denied.has(region));
      if (standing.length > 0) expect(placement.result).not.toBe("absent");
    });
  });

  test("an app is only absent when the map is complete and every silent region has denied it", () => {
    holds((world, made, answers, placement) => {
      if (placement.result !== "absent") return;
      expect(world.complete).toBe(true);
      const denied = new Set(answers.filter((answer) => answer.outcome === "not-here").map(({ region }) => region));
      for (const { region } of [...made.asks, ...made.fallback]) expect(denied).toContain(region);
      expect(placement).toMatchObject({ complete: true, missing: [] });
    });
  });

  test("every region that answered that it has the app is in the result, whoever else is dead", () => {
    holds((_, made, answers, placement) => {
      for (const { region, generation } of [...made.asks, ...made.fallback]) {
        const answer = answers.find((each) => each.region === region);
        if (answer?.outcome !== "here" || answer.generation < generation) continue;
        expect(placement.regions.filter(({ source }) => source === "region").map((each) => each.region)).toContain(
          region,
        );
      }
    });
  });

  test("no region is asked twice or placed twice, and the limits hold", () => {
    holds((_, made, __, placement) => {
      const asked = regionsOf([...made.asks, ...made.fallback]);
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBeLessThanOrEqual(defaultRouterConfig.candidatesMax + defaultRouterConfig.probesMax);
      expect(new Set(regionsOf(placement.regions)).size).toBe(placement.regions.length);
      expect(new Set(regionsOf(placement.missing)).size).toBe(placement.missing.length);
    });
  });
});

test("a region that has told of more apps than the map has of it may have this one: it is asked", () => {
  const view = viewOf({ regions: { iad: "fresh", fra: "fresh" } });
  const partly = new Map(view.regions);
  partly.set("fra", { ...(view.regions.get("fra") as RegionState), apps: 1 });
  expect(planResolve(view, "web", {}, NOW, defaultRouterConfig).asks).toEqual([]);
  const asked = planResolve({ ...view, regions: partly }, "web", {}, NOW, defaultRouterConfig).asks;
  expect(asked).toMatchObject([{ region: "fra", reason: "probe" }]);
});

test("what a region may have that nothing was heard of is unknown; so is all, while no region is known", () => {
  const view = viewOf({ regions: { iad: "fresh" } });
  const resultOf = (known: RouterView): string => {
    return mergeAnswers(planResolve(known, "web", {}, NOW, defaultRouterConfig), [], NOW).result;
  };
  expect(resultOf(view)).toBe("absent");
  expect(resultOf({ ...view, expected: ["iad", "fra"] })).toBe("unknown");
  expect(resultOf({ ...view, regions: new Map() })).toBe("unknown");
});
