/** A resolution driven by regions whose agents answer, fail, or stay silent, in any order. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testRouterConfig } from "../config.js";
import { mergeAnswers, type Placement, type RegionAnswer } from "../merge.js";
import type { Ask, Plan } from "../plan.js";
import { RegionHealth } from "../regions/region-health.js";
import { Answers, type GivenAnswer } from "./answers.js";
import { Resolution, type ResolutionEffect, type ResolutionInput } from "./resolution.js";

const at = (monotonicMs: number) => ({ monotonicMs, wallMs: 1_700_000_000_000 + monotonicMs });
const partsOf = () => {
  return {
    health: new RegionHealth(testRouterConfig),
    answers: new Answers(testRouterConfig),
    config: testRouterConfig,
  };
};
const askOf = (region: string, agents = 2): Ask => {
  const apis = Array.from({ length: agents }, (_, i) => `${region}-${i}`);
  return { region, apis, grade: "fresh", ageMs: 0, class: "serving", generation: 1, reason: "index" };
};
const planOf = (asks: readonly Ask[], more: Partial<Plan> = {}): Plan => ({
  app: "web",
  asks,
  fallback: [],
  unasked: [],
  missing: [],
  complete: true,
  requireLive: false,
  maxAgeMs: Infinity,
  keptMaxMs: 0,
  wait: undefined,
  instancesMax: 10,
  plannedMs: 0,
  ...more,
});
const here = (region: string): GivenAnswer => ({ region, outcome: "here", generation: 1, machines: [], ageMs: 0 });
const notHere = (region: string): GivenAnswer => ({ region, outcome: "not-here", generation: 1 });
const answered = (api: string, answer: GivenAnswer): ResolutionInput => ({ kind: "answered", api, answer });
const failed = (region: string, api: string): ResolutionInput => ({ kind: "failed", region, api, reason: "no" });
const asked = (effects: readonly ResolutionEffect[]): string[] => {
  return effects.flatMap((effect) => (effect.kind === "ask" ? [effect.api] : []));
};
const placed = (effects: readonly ResolutionEffect[]): Placement | undefined => {
  return effects.flatMap((effect) => (effect.kind === "done" ? [effect.placement] : []))[0];
};

describe("one region", () => {
  test("is asked at a second agent when the first is silent, and the first answer counts", () => {
    const resolution = new Resolution(planOf([askOf("iad")]), partsOf());
    const started = resolution.start(at(0));
    expect(started).toEqual([
      { kind: "ask", region: "iad", api: "iad-0" },
      { kind: "wake", region: "iad", afterMs: testRouterConfig.hedgeMs },
    ]);
    expect(asked(resolution.handle({ kind: "wake", region: "iad" }, at(10)))).toEqual(["iad-1"]);
    expect(placed(resolution.handle(answered("iad-1", here("iad")), at(12)))?.result).toBe("found");
    expect(resolution.handle(answered("iad-0", notHere("iad")), at(13))).toEqual([]);
  });

  test("is asked at the next agent at once when one fails, and at no more than so many", () => {
    const resolution = new Resolution(planOf([askOf("iad", 5)]), partsOf());
    expect(asked(resolution.start(at(0)))).toEqual(["iad-0"]);
    expect(asked(resolution.handle(failed("iad", "iad-0"), at(1)))).toEqual(["iad-1"]);
    const placement = placed(resolution.handle(failed("iad", "iad-1"), at(2)));
    expect(placement?.missing).toEqual([{ region: "iad", reason: "iad-0: no; iad-1: no" }]);
  });

  test("is not given up while one of its agents may still answer", () => {
    const resolution = new Resolution(planOf([askOf("iad")]), partsOf());
    resolution.start(at(0));
    resolution.handle({ kind: "wake", region: "iad" }, at(10));
    expect(resolution.handle(failed("iad", "iad-0"), at(11))).toEqual([]);
    expect(placed(resolution.handle(answered("iad-1", here("iad")), at(12)))?.complete).toBe(true);
  });
});

describe("a region whose circuit is open", () => {
  const broken = () => {
    const parts = partsOf();
    for (let i = 0; i < testRouterConfig.breakerFailures; i++) parts.health.onFailure("iad", 0);
    return parts;
  };

  test("costs the others nothing: it is skipped, and named", () => {
    const resolution = new Resolution(planOf([askOf("iad"), askOf("fra")]), broken());
    expect(asked(resolution.start(at(1)))).toEqual(["fra-0"]);
    const placement = placed(resolution.handle(answered("fra-0", here("fra")), at(2)));
    expect(placement).toMatchObject({ result: "found", complete: false, missing: [{ region: "iad" }] });
  });

  test("is asked all the same when it is the only candidate", () => {
    expect(asked(new Resolution(planOf([askOf("iad")]), broken()).start(at(1)))).toEqual(["iad-0"]);
  });
});

describe("kept answers", () => {
  const keeping = (...answers: readonly GivenAnswer[]) => {
    const parts = partsOf();
    for (const answer of answers) parts.answers.keep("web", answer, 0);
    return parts;
  };

  test("are given to those who accept their age, and to nobody else", () => {
    const accepting = new Resolution(planOf([askOf("iad")], { keptMaxMs: 50, maxAgeMs: 50 }), keeping(here("iad")));
    expect(placed(accepting.start(at(50)))?.regions).toMatchObject([{ source: "kept", grade: "fresh", ageMs: 50 }]);
    expect(asked(new Resolution(planOf([askOf("iad")]), keeping(here("iad"))).start(at(0)))).toEqual(["iad-0"]);
    const older = new Resolution(planOf([askOf("iad")], { keptMaxMs: 50 }), keeping(here("iad")));
    expect(asked(older.start(at(51)))).toEqual(["iad-0"]);
  });

  test("of a denial spare its region the question, unless nobody else is left to ask", () => {
    const two = planOf([askOf("iad"), askOf("fra")], { keptMaxMs: 50 });
    expect(asked(new Resolution(two, keeping(notHere("iad"))).start(at(1)))).toEqual(["fra-0"]);
    const only = planOf([askOf("iad")], { keptMaxMs: 50 });
    expect(asked(new Resolution(only, keeping(notHere("iad"))).start(at(1)))).toEqual(["iad-0"]);
  });

  test("of a generation that was rolled back do not count", () => {
    const newer = planOf([{ ...askOf("iad"), generation: 2 }], { keptMaxMs: 50 });
    expect(asked(new Resolution(newer, keeping(here("iad"))).start(at(1)))).toEqual(["iad-0"]);
  });
});

test("the fallback is asked only when nobody has the app", () => {
  const plan = planOf([askOf("iad")], { fallback: [{ ...askOf("fra"), reason: "probe" }] });
  const denied = new Resolution(plan, partsOf());
  denied.start(at(0));
  expect(asked(denied.handle(answered("iad-0", notHere("iad")), at(1)))).toEqual(["fra-0"]);
  const placement = placed(denied.handle(answered("fra-0", here("fra")), at(2)));
  expect(placement).toMatchObject({ result: "found", complete: true });
  const found = new Resolution(plan, partsOf());
  found.start(at(0));
  expect(placed(found.handle(answered("iad-0", here("iad")), at(1)))?.missing).toMatchObject([{ region: "fra" }]);
});

test("while no region holds the write that is waited for, nothing is absent", () => {
  const plan = planOf([askOf("iad"), askOf("fra")], { wait: { origin: "o", version: 1 } });
  const denials = [notHere("iad"), notHere("fra")];
  expect(mergeAnswers(plan, denials, at(0))).toMatchObject({ result: "unknown", hasWaited: false });
  const [iad] = denials;
  const waited = [{ ...iad, hasWaited: true } as RegionAnswer, notHere("fra")];
  expect(mergeAnswers(plan, waited, at(0))).toMatchObject({ result: "absent", hasWaited: true });
});

/** What each agent does when it is asked; every live agent of a region says the same. */
interface Scripted {
  readonly has: boolean;
  readonly live: readonly boolean[];
}

const regions = ["a", "b", "c"];
const script = fc.record<Scripted>({ has: fc.boolean(), live: fc.array(fc.boolean(), { maxLength: 4 }) });
const scripts = fc.dictionary(fc.constantFrom(...regions), script, { noNullPrototype: true });

test("whoever is dead and whatever the order, the outcome is that of asking each region's agents one by one", () => {
  const property = fc.property(scripts, scripts, fc.infiniteStream(fc.nat()), (first, second, chance) => {
    const asks = Object.keys(first).map((region) => askOf(region, first[region]?.live.length));
    const fallback = Object.keys(second)
      .filter((region) => !(region in first))
      .map((region): Ask => ({ ...askOf(region, second[region]?.live.length), reason: "probe" }));
    const plan = planOf(asks, { fallback });
    const world = { ...second, ...first };
    const { placement, visited } = drive(new Resolution(plan, partsOf()), world, () => chance.next().value);
    expect(new Set(visited).size).toBe(visited.length);
    const strip = ({ missing, regions: list, ...rest }: Placement) => ({
      ...rest,
      missing: missing.map(({ region }) => region),
      regions: list.map(({ region, source }) => `${region} ${source}`),
    });
    expect(strip(placement)).toEqual(strip(mergeAnswers(plan, oneByOne(plan, world), at(0))));
  });
  fc.assert(property, { numRuns: 1000 });
});

/** The oracle: no hedges, no order, no state. */
function oneByOne(plan: Plan, world: Readonly<Record<string, Scripted>>): RegionAnswer[] {
  const answerOf = ({ region }: Ask): RegionAnswer => {
    const { has, live } = world[region] ?? { has: false, live: [] };
    if (!live.slice(0, testRouterConfig.attemptsMax).includes(true))
      return { region, outcome: "unreachable", reason: "" };
    return has ? here(region) : notHere(region);
  };
  const answers = plan.asks.map(answerOf);
  const isHere = answers.some(({ outcome }) => outcome === "here");
  return isHere ? answers : [...answers, ...plan.fallback.map(answerOf)];
}

/** Performs the effects, one at a time, in an order that chance decides. */
function drive(resolution: Resolution, world: Readonly<Record<string, Scripted>>, chance: () => number) {
  const pending: ResolutionInput[] = [];
  const visited: string[] = [];
  let placement: Placement | undefined;
  const perform = (effects: readonly ResolutionEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === "done") placement = effect.placement;
      else if (effect.kind === "wake") pending.push({ kind: "wake", region: effect.region });
      else {
        const { region, api } = effect;
        const { has, live } = world[region] ?? { has: false, live: [] };
        visited.push(api);
        const isLive = live[Number(api.split("-")[1])] === true;
        pending.push(isLive ? answered(api, has ? here(region) : notHere(region)) : failed(region, api));
      }
    }
  };
  perform(resolution.start(at(0)));
  for (let nowMs = 1; pending.length > 0; nowMs++) {
    const [input] = pending.splice(chance() % pending.length, 1);
    if (input !== undefined) perform(resolution.handle(input, at(nowMs)));
  }
  if (placement === undefined) throw new Error("it never ended");
  return { placement, visited };
}
