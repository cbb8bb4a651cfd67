/** A seed that failed, told so that it can be replayed: what is wrong, the smallest plan that still fails, and the command. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WrapStore } from "../machine/process.js";
import { describePlan } from "../plan/plan.js";
import { planText } from "../plan/plan-text.js";
import { shrinkPlan, type Shrunk, SIMPLER_CLUSTER } from "../shrink/shrink.js";
import { runSeed, type SeedResult } from "./run-seed.js";

/** A seed takes some 200 ms: half a minute at most. */
const SHRINK_RUNS_MAX = 150;

/** Smaller plans of the seed that break the same rule. */
export function shrinkFailure({ seed, plan, problems }: SeedResult, wrapStore?: WrapStore): Shrunk {
  const rules = new Set(problems.map(ruleOf));
  const run = { ...(wrapStore === undefined ? {} : { wrapStore }) };
  return shrinkPlan(
    plan,
    (smaller) => runSeed(seed, { ...run, plan: smaller }).problems.some((it) => rules.has(ruleOf(it))),
    { simpler: SIMPLER_CLUSTER, runsMax: SHRINK_RUNS_MAX },
  );
}

/** Several lines. The smallest plan is written to a file, for `--plan`. */
export function failureText(result: SeedResult): string {
  const { seed, plan, problems } = result;
  const shrunk = shrinkFailure(result);
  const file = join(tmpdir(), `patina-sim-${seed}.plan.json`);
  writeFileSync(file, JSON.stringify(shrunk.plan));
  return [
    `seed ${seed} FAILED (${describePlan(plan)})`,
    ...problems.map((problem) => `  ${problem}`),
    `  replay: npm run sim -- --seed ${seed}`,
    `the smallest plan that still fails, after ${shrunk.runs} runs: ${planText(shrunk.plan)}`,
    `  replay: npm run sim -- --seed ${seed} --plan ${file}`,
  ].join("\n");
}

function ruleOf(problem: string): string {
  return problem.slice(0, problem.indexOf(":"));
}
