/**
 * One simulated run: faults while clients write, then the core is healed and must become one again. What must always hold is
 * checked on the way, and what must hold in the end once it does.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assert } from "@patina/base";
import { checkNow, checkQuiet } from "../checkers/check.js";
import type { PathName } from "../coverage/paths.js";
import type { WrapStore } from "../machine/process.js";
import { SCRATCH_DIR } from "../machine/scratch.js";
import { type Plan, planOf } from "../plan/plan.js";
import { World } from "../world/world.js";

/** Virtual time the healed core has to converge: several suspicions, redials and rounds of anti-entropy. */
const CONVERGE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 500;
/** Steps between two looks at what must always hold. */
const CHECK_EVERY_STEPS = 400;
/** The largest runs take a tenth of it: beyond, the cluster turns in a circle. */
const STEPS_MAX = 600_000;

export interface SeedResult {
  readonly seed: number;
  readonly plan: Plan;
  /** What the checkers found; nothing means passed. */
  readonly problems: readonly string[];
  readonly traceHash: string;
  readonly steps: number;
  readonly acknowledged: number;
  readonly virtualMs: number;
  /** Virtual milliseconds from healing to the first look without findings. */
  readonly convergedAfterMs: number | undefined;
  readonly paths: readonly PathName[];
}

export interface RunOptions {
  /** Instead of the seed's own: what is left of it after some was taken out. */
  readonly plan?: Plan;
  readonly wrapStore?: WrapStore;
}

export function runSeed(seed: number, { plan = planOf(seed), wrapStore }: RunOptions = {}): SeedResult {
  const home = mkdtempSync(join(SCRATCH_DIR, `patina-sim-${seed}-`));
  const world = new World(seed, plan, home, wrapStore);
  try {
    const { problems, healedMs } = playOrBreakOff(world);
    const { traceHash, steps, nowMs, chronicle, coverage } = world;
    return {
      seed,
      plan,
      problems,
      traceHash,
      steps,
      acknowledged: chronicle.acknowledged.length,
      virtualMs: nowMs,
      convergedAfterMs: problems.length === 0 ? nowMs - healedMs : undefined,
      paths: [...coverage.seen],
    };
  } finally {
    world.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** An assertion that fails in the cluster's own code is a finding, too. */
function playOrBreakOff(world: World): ReturnType<typeof play> {
  try {
    return play(world);
  } catch (thrown) {
    const { stack = "" } = thrown as Error;
    return {
      problems: [`X0: it broke off at ${world.nowMs} ms: ${stack.split("\n").slice(0, 6).join("\n  ")}`],
      healedMs: world.nowMs,
    };
  }
}

function play(world: World): { problems: readonly string[]; healedMs: number } {
  const { findings } = world.chronicle;
  const look = (): void => {
    if (world.steps % CHECK_EVERY_STEPS === 0) checkNow(world, world.steps / CHECK_EVERY_STEPS);
    assert(world.steps < STEPS_MAX, "a run comes to an end");
  };
  world.start();
  world.runUntil(world.plan.faultsEndMs, look);
  world.heal();
  const healedMs = world.nowMs;
  let unsettled: string[];
  do {
    world.runUntil(world.nowMs + LOOK_EVERY_MS, look);
    unsettled = checkQuiet(world);
  } while (unsettled.length > 0 && findings.length === 0 && world.nowMs < healedMs + CONVERGE_WITHIN_MS);
  if (unsettled.length === 0) checkNow(world, 0);
  return { problems: findings.length > 0 ? findings : unsettled, healedMs };
}
