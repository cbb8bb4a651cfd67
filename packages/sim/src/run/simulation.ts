/** What can be simulated from a seed, as the command and its threads see it: one cluster, or the two tiers of a fleet. */
import { PATHS, RARER_PATHS } from "../coverage/paths.js";
import { parsePlan, planText } from "../plan/plan-text.js";
import { TIER_PATHS } from "../tiers/checkers/findings.js";
import { parseTierPlan, tierPlanText } from "../tiers/plan/tier-plan-text.js";
import { runTierSeed } from "../tiers/run/run-tier-seed.js";
import { tierFailureText } from "../tiers/run/tier-failure.js";
import { failureText } from "./failure.js";
import { runSeed } from "./run-seed.js";

/** Plain data, so that it can go from one thread to another. */
export interface Outcome {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly traceHash: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly paths: readonly string[];
  /** The plan and how it ended, in a few lines. */
  readonly text: string;
}

export interface Simulation {
  /** The rare paths that its seeds should go down. */
  readonly paths: readonly string[];
  /** `plan` is JSON, what is left of a seed's own plan after it was cut down. Throws when it is no plan. */
  run(seed: number, plan?: string): Outcome;
  /** Runs the seed again, and ever smaller plans of it. */
  explain(seed: number): string;
}

export const SIMULATIONS: Readonly<Record<"cluster" | "tiers", Simulation>> = {
  cluster: {
    paths: [...PATHS, ...RARER_PATHS],
    run: (seed, text) => {
      const result = runSeed(seed, text === undefined ? {} : { plan: parsePlan(text) });
      const { plan, steps, acknowledged, convergedAfterMs, traceHash } = result;
      const end = `converged ${convergedAfterMs} ms after healing; ${steps} steps, ${acknowledged} acknowledged, trace ${traceHash}`;
      return outcomeOf(result, `${planText(plan)}\n${end}`);
    },
    explain: (seed) => failureText(runSeed(seed)),
  },
  tiers: {
    paths: TIER_PATHS,
    run: (seed, text) => {
      const result = runTierSeed(seed, text === undefined ? undefined : parseTierPlan(text));
      const { plan, steps, quietAfterMs, traceHash } = result;
      const end = `the index was true ${quietAfterMs} ms after healing; ${steps} steps, trace ${traceHash}`;
      return outcomeOf(result, `${tierPlanText(plan)}\n${end}`);
    },
    explain: (seed) => tierFailureText(runTierSeed(seed)),
  },
};

function outcomeOf(
  { seed, problems, traceHash, steps, virtualMs, paths }: Omit<Outcome, "text">,
  text: string,
): Outcome {
  return { seed, problems, traceHash, steps, virtualMs, paths, text };
}
