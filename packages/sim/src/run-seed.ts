/** One simulated run: faults while clients write, then everything heals and the cluster must become one again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkWorld } from "./checkers.js";
import type { WrapStore } from "./sim-node.js";
import { World } from "./world.js";

/** Virtual time the healed cluster has to converge: several suspicions, redials and rounds of anti-entropy. */
const CONVERGE_WITHIN_MS = 60_000;
const CHECK_EVERY_MS = 2000;

export interface SeedResult {
  readonly seed: number;
  readonly plan: string;
  /** Findings of the checkers at the end; none means passed. */
  readonly problems: readonly string[];
  readonly traceHash: string;
  readonly steps: number;
  readonly acknowledged: number;
  /** Virtual milliseconds from healing to the first check without findings. */
  readonly convergedAfterMs: number | undefined;
}

export function runSeed(seed: number, wrapStore?: WrapStore): SeedResult {
  const home = mkdtempSync(join(tmpdir(), `patina-sim-${seed}-`));
  const world = new World(seed, home, wrapStore);
  try {
    world.start();
    world.runUntil(world.plan.faultsEndMs);
    world.heal();
    const healedMs = world.nowMs;
    let problems: string[] = ["never checked"];
    while (problems.length > 0 && world.nowMs < healedMs + CONVERGE_WITHIN_MS) {
      world.runUntil(world.nowMs + CHECK_EVERY_MS);
      problems = checkWorld(world);
    }
    const { traceHash, steps, acknowledged, plan, nowMs } = world;
    const convergedAfterMs = problems.length === 0 ? nowMs - healedMs : undefined;
    return {
      seed,
      plan: plan.describe,
      problems,
      traceHash,
      steps,
      acknowledged: acknowledged.length,
      convergedAfterMs,
    };
  } finally {
    world.stop();
    rmSync(home, { recursive: true, force: true });
  }
}
