/** Plans of the tiers as text: to be read, and to be run again. */
import { AppError } from "@patina/base";
import { describeTierPlan, type TierPlan } from "./tier-plan.js";

/** What there is in one line, then a line for each fault. */
export function tierPlanText(plan: TierPlan): string {
  return [
    describeTierPlan(plan),
    ...plan.faults.map(({ atMs, fault }) => `  ${String(Math.round(atMs)).padStart(6)} ms  ${JSON.stringify(fault)}`),
  ].join("\n");
}

/** Throws `bad-request` for what is no plan. */
export function parseTierPlan(text: string): TierPlan {
  const hint = "Use the file that a failed run has written.";
  try {
    const plan = JSON.parse(text) as Partial<TierPlan>;
    if (typeof plan.regions === "number" && Array.isArray(plan.faults)) return plan as TierPlan;
  } catch (cause) {
    throw new AppError("bad-request", "the plan is not JSON", { cause, hint });
  }
  throw new AppError("bad-request", "the file is no plan of the tiers", { hint });
}
