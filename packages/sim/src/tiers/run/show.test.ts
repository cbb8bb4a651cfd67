/** What the tiers are for, shown: a production trace, a global tier that is gone for ten minutes, a fleet of which one region is left. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { must } from "@patina/base";
import type { Placement } from "@patina/router";
import { checkTiersQuiet, TierChecks } from "../checkers/check-tiers.js";
import { GhostWatch } from "../checkers/ghost-watch.js";
import type { TierPlan } from "../plan/tier-plan.js";
import { readTrace, type TraceEvent } from "../testing/trace.js";
import { TIER_LOOK_EVERY_MS, TierWorld } from "../world/tier-world.js";
import { runTierSeed } from "./run-tier-seed.js";

const TRACE = fileURLToPath(new URL("../../../../../../shared/data/alibaba-dlrm-2025.csv", import.meta.url));
const isHere = existsSync(TRACE);
if (!isHere) process.stderr.write(`the trace on simulated tiers is skipped: there is no ${TRACE}\n`);

const CALM: TierPlan = {
  regions: 6,
  agentsPerRegion: 3,
  cores: 3,
  classes: [],
  lossProbability: 0,
  delayMaxMs: 40,
  updates: 0,
  resolves: 0,
  faults: [],
  faultsEndMs: 10_000,
  clockOffsetsMs: [0, 0, 0, 0, 0, 0],
};
/** The trace's month in so much virtual time, with so many quiet points. */
const TRACE_MS = 600_000;
const QUIET_POINTS = 10;
const QUIET_MS = 10_000;

test.skipIf(!isHere)(
  "a month of a production trace on six regions: the index is true at every quiet point",
  { timeout: 300_000 },
  () => {
    const events = readTrace(TRACE, CALM.regions);
    const lastSeconds = events.at(-1)?.atSeconds ?? 1;
    const world = new TierWorld(1, CALM, { isEmpty: true });
    const [ghosts, checks] = [new GhostWatch(world), new TierChecks(world)];
    world.start();
    const runFor = (forMs: number): void => {
      for (const endMs = world.nowMs + forMs; world.nowMs < endMs;) {
        world.runUntil(Math.min(endMs, world.nowMs + TIER_LOOK_EVERY_MS));
        ghosts.look();
        checks.checkNow();
      }
    };
    let [next, quiet] = [0, 0];
    for (let point = 1; point <= QUIET_POINTS; point++) {
      const untilSeconds = (lastSeconds * point) / QUIET_POINTS;
      const fromMs = world.nowMs;
      const startSeconds = (lastSeconds * (point - 1)) / QUIET_POINTS;
      for (; next < events.length && (events[next]?.atSeconds ?? Infinity) <= untilSeconds; next++) {
        const event = must(events[next], "an event");
        const atMs = ((event.atSeconds - startSeconds) / lastSeconds) * TRACE_MS;
        world.after(Math.max(0, fromMs + atMs - world.nowMs), "trace", () => apply(world, event));
      }
      runFor(TRACE_MS / QUIET_POINTS + QUIET_MS);
      expect(checkTiersQuiet(world)).toEqual([]);
      quiet++;
    }
    expect(next).toBe(events.length);
    expect(quiet).toBe(QUIET_POINTS);
    expect(world.findings.problems).toEqual([]);
    expect(ghosts.oldestMs).toBeLessThan(10_000);
  },
);

function apply(world: TierWorld, { region, machine, app, isUp }: TraceEvent): void {
  const site = world.region(region);
  const agent = site.agents[0];
  if (agent !== undefined) site.write(agent, { id: machine, app, state: isUp ? "started" : "destroyed" });
}

test(
  "with all whom borders publish to gone for ten minutes, under load, no known app fails to resolve",
  { timeout: 60_000 },
  () => {
    const forMs = 600_000;
    const loss = { kind: "tier-lost", disk: "lost", forMs } as const;
    const plan = {
      ...CALM,
      updates: 2000,
      resolves: 3000,
      faults: [{ atMs: 20_000, fault: loss }],
      faultsEndMs: 620_000,
    };
    const { problems, paths } = runTierSeed(1, plan);
    expect(problems).toEqual([]); // T6 is that rule, and that each answer says its age.
    expect(paths).toContain("an app was found while all whom borders publish to were down");
  },
);

test("of a fleet of which one region is left, that one boots from its disks and serves", () => {
  const world = new TierWorld(3, CALM);
  const { globals, regions } = world;
  world.start();
  world.runUntil(15_000);
  const left = must(regions[0], "a region");
  const router = globals.routerOf(left.index);
  const before = left.agents[0]?.detail.apps() ?? [];
  for (const agent of globals.agents) globals.stopAgent(agent, "kept");
  for (const region of regions) for (const agent of region.agents) region.stopAgent(agent, "kept");
  world.runUntil(60_000);
  for (const agent of left.agents) left.startAgent(agent);
  globals.startAgent(router);
  const placed: Placement[] = [];
  for (const app of before) world.clients.resolve(router, app, undefined, (placement) => placed.push(placement));
  world.runUntil(63_000);
  expect(before.length).toBeGreaterThan(4);
  expect(placed).toHaveLength(before.length);
  for (const { result, regions: found } of placed) {
    expect(result).toBe("found");
    expect(found[0]).toMatchObject({ region: left.name, grade: "live", source: "region" });
  }
  expect(world.findings.problems).toEqual([]);
});
