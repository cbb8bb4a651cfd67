/** A seed of the tiers that failed, told so that it can be replayed: what is wrong, the smallest plan that still fails, the command. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { shrinkPlan, type Simplify } from "../../shrink/shrink.js";
import { describeTierPlan, type TierPlan } from "../plan/tier-plan.js";
import { tierPlanText } from "../plan/tier-plan-text.js";
import { runTierSeed, type TierSeedResult } from "./run-tier-seed.js";

/** A seed takes some 150 ms: a quarter of a minute at most. */
const SHRINK_RUNS_MAX = 100;

const SIMPLER: readonly Simplify<TierPlan>[] = [
  (plan) => ({ ...plan, lossProbability: 0 }),
  (plan) => ({ ...plan, clockOffsetsMs: plan.clockOffsetsMs.map(() => 0) }),
  (plan) => ({ ...plan, resolves: Math.floor(plan.resolves / 2) }),
  (plan) => ({ ...plan, updates: Math.floor(plan.updates / 2) }),
];

/** Several lines. The smallest plan is written to a file, for `--plan`. */
export function tierFailureText({ seed, plan, problems }: TierSeedResult, runsMax = SHRINK_RUNS_MAX): string {
  const rules = new Set(problems.map(ruleOf));
  const fails = (smaller: TierPlan): boolean => runTierSeed(seed, smaller).problems.some((it) => rules.has(ruleOf(it)));
  const shrunk = shrinkPlan(plan, fails, { simpler: SIMPLER, runsMax });
  const file = join(tmpdir(), `patina-sim-tiers-${seed}.plan.json`);
  writeFileSync(file, JSON.stringify(shrunk.plan));
  return [
    `seed ${seed} of the tiers FAILED (${describeTierPlan(plan)})`,
    ...problems.map((problem) => `  ${problem}`),
    `  replay: npm run sim -- --tiers --seed ${seed}`,
    `the smallest plan that still fails, after ${shrunk.runs} runs: ${tierPlanText(shrunk.plan)}`,
    `  replay: npm run sim -- --tiers --seed ${seed} --plan ${file}`,
  ].join("\n");
}

function ruleOf(problem: string): string {
  return problem.slice(0, problem.indexOf(":"));
}
