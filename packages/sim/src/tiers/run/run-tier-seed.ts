/**
 * One simulated run of the tiers: faults while machines change and callers ask, then everything is healed, and the index must
 * become the summary of the regions' detail; and then updates without a transition must leave it alone.
 */
import { assert } from "@patina/base";
import { checkTiersQuiet, TierChecks } from "../checkers/check-tiers.js";
import type { TierPath } from "../checkers/findings.js";
import { type TierPlan, tierPlanOf } from "../plan/tier-plan.js";
import { TIER_LOOK_EVERY_MS, TierWorld } from "../world/tier-world.js";

/** No ghost is older than this, and no row is missing for longer, once nothing goes wrong any more. */
const QUIET_WITHIN_MS = 10_000;
/** An operator looks at what the brake holds, and finds it true. */
const OPERATOR_AFTER_MS = 2500;
const QUIET_UPDATES = 30;
const QUIET_UPDATES_MS = 3000;
const STEPS_MAX = 1_000_000;

export interface TierSeedResult {
  readonly seed: number;
  readonly plan: TierPlan;
  /** What the checkers found; nothing means passed. */
  readonly problems: readonly string[];
  readonly traceHash: string;
  readonly steps: number;
  readonly virtualMs: number;
  /** Virtual milliseconds from healing to the first look without findings. */
  readonly quietAfterMs: number;
  readonly paths: readonly TierPath[];
}

export function runTierSeed(seed: number, plan: TierPlan = tierPlanOf(seed)): TierSeedResult {
  const world = new TierWorld(seed, plan);
  let quietAfterMs = 0;
  try {
    quietAfterMs = play(world);
  } catch (thrown) {
    const { stack = "" } = thrown as Error;
    world.findings.broken("X0", `it broke off at ${world.nowMs} ms: ${stack.split("\n").slice(0, 6).join("\n  ")}`);
  }
  const { findings, traceHash, steps, nowMs } = world;
  const { problems } = findings;
  return { seed, plan, problems, traceHash, steps, virtualMs: nowMs, quietAfterMs, paths: [...findings.paths] };
}

function play(world: TierWorld): number {
  const checks = new TierChecks(world);
  const runFor = (forMs: number): void => {
    const endMs = world.nowMs + forMs;
    while (world.nowMs < endMs) {
      world.runUntil(Math.min(endMs, world.nowMs + TIER_LOOK_EVERY_MS));
      world.truth.look();
      checks.checkNow();
      world.brakes.check();
      assert(world.steps < STEPS_MAX, "a run comes to an end");
    }
  };
  world.start();
  runFor(world.plan.faultsEndMs);
  world.heal();
  const quietAfterMs = untilQuiet(world, runFor);
  runFor(QUIET_WITHIN_MS - quietAfterMs);
  if (world.findings.problems.length === 0) updateQuietly(world, runFor);
  return quietAfterMs;
}

function untilQuiet(world: TierWorld, runFor: (forMs: number) => void): number {
  const healedMs = world.nowMs;
  let unsettled: string[];
  do {
    runFor(TIER_LOOK_EVERY_MS);
    if (world.nowMs - healedMs >= OPERATOR_AFTER_MS) confirmWithdrawals(world);
    unsettled = checkTiersQuiet(world);
  } while (unsettled.length > 0 && world.nowMs < healedMs + QUIET_WITHIN_MS);
  for (const problem of unsettled) world.findings.broken(...splitOnce(problem));
  return world.nowMs - healedMs;
}

function splitOnce(problem: string): [string, string] {
  const at = problem.indexOf(": ");
  return [problem.slice(0, at), problem.slice(at + 2)];
}

function confirmWithdrawals(world: TierWorld): void {
  for (const region of world.regions) {
    for (const agent of region.agents) {
      if ((agent.border?.counts.held ?? 0) === 0) continue;
      world.findings.passed("an operator confirmed withdrawals");
      region.step(agent, { kind: "confirm-withdrawals" });
    }
  }
}

/** T10: nothing is written in the global tier, and nothing is sent to it but heartbeats and audits. */
function updateQuietly(world: TierWorld, runFor: (forMs: number) => void): void {
  const sent = (): number => {
    return world.regions.reduce((sum, { agents }) => {
      return sum + agents.reduce((all, { border }) => all + (border?.counts.published ?? 0), 0);
    }, world.globals.placementsWritten);
  };
  const before = sent();
  for (let i = 0; i < QUIET_UPDATES; i++) {
    for (const region of world.regions) world.clients.updateQuietly(region);
    runFor(QUIET_UPDATES_MS / QUIET_UPDATES);
  }
  runFor(QUIET_UPDATES_MS);
  if (sent() !== before)
    world.findings.broken("T10", `updates without a transition sent ${sent() - before} rows across the tiers`);
  for (const problem of checkTiersQuiet(world)) world.findings.broken(...splitOnce(problem));
}
