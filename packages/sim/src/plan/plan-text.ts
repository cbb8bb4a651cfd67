/** A plan as people read it, and as a file that can be run again. */
import { AppError } from "@patina/base";
import { describePlan, PERFECT_NETWORK, type Plan } from "./plan.js";

/** One line for the cluster, one for each fault, and those for what else is not plain. */
export function planText(plan: Plan): string {
  const { network, clockOffsetsMs, clockDrifts, faults, evictAfterMs, broadcasts, directMembersMax } = plan;
  const odd = Object.entries(network).filter(
    ([key, value]) => value !== PERFECT_NETWORK[key as keyof typeof PERFECT_NETWORK],
  );
  const clocks = clockOffsetsMs.map(
    (offsetMs, node) => `${node}: ${Math.round(offsetMs)} ms, ×${(1 + (clockDrifts[node] ?? 0)).toFixed(2)}`,
  );
  return [
    describePlan(plan),
    ...odd.map(([key, value]) => `  ${key} ${value}`),
    ...(clocks.every((clock) => clock.endsWith(": 0 ms, ×1.00")) ? [] : [`  wall clocks ${clocks.join("; ")}`]),
    ...(evictAfterMs === undefined ? [] : [`  the dead are given up after ${evictAfterMs} ms`]),
    ...(broadcasts ? [] : ["  nothing is broadcast"]),
    ...(directMembersMax < plan.nodes ? ["  changes go by way of relays"] : []),
    ...faults.map(({ atMs, fault }) => `  ${Math.round(atMs).toString().padStart(6)} ms ${JSON.stringify(fault)}`),
  ].join("\n");
}

/** Throws `bad-request` for what is no plan. */
export function parsePlan(text: string): Plan {
  try {
    const plan = JSON.parse(text) as Partial<Plan>;
    if (typeof plan.nodes === "number" && Array.isArray(plan.faults) && plan.network !== undefined) return plan as Plan;
  } catch (cause) {
    throw new AppError("bad-request", "the plan is not JSON", {
      cause,
      hint: "Use the file that a failed run has written.",
    });
  }
  throw new AppError("bad-request", "the file is no plan", { hint: "Use the file that a failed run has written." });
}
