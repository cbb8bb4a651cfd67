/**
 * From a plan that fails, a smaller one that still does: first the list of faults is cut down ("delta debugging", Zeller and
 * Hildebrandt 2002), then whatever else the plan has is taken back to its plainest. Every attempt is a run.
 */
import { PERFECT_NETWORK, type Plan } from "../plan/plan.js";

/** What of a plan this needs to know. */
interface WithFaults {
  readonly faults: readonly unknown[];
}

/** Each makes a plan plainer, or leaves it as it is. */
export type Simplify<P> = (plan: P) => P;

export interface Shrunk<P = Plan> {
  readonly plan: P;
  readonly runs: number;
}

/** `fails` runs a plan. After `runsMax` attempts the smallest that was found by then is it. */
export function shrinkPlan<P extends WithFaults>(
  plan: P,
  fails: (plan: P) => boolean,
  { simpler, runsMax }: { readonly simpler: readonly Simplify<P>[]; readonly runsMax: number },
): Shrunk<P> {
  let runs = 0;
  let smallest = plan;
  const take = (candidate: P): boolean => {
    if (runs >= runsMax) return false;
    runs++;
    if (!fails(candidate)) return false;
    smallest = candidate;
    return true;
  };
  dropFaults(plan, take);
  for (const simplify of simpler) while (isSimpler(simplify(smallest), smallest) && take(simplify(smallest)));
  return { plan: smallest, runs };
}

/** Takes out ever smaller pieces of the list, as long as it fails without them. */
function dropFaults<P extends WithFaults>(plan: P, take: (plan: P) => boolean): void {
  let faults = plan.faults;
  for (let size = faults.length; size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < faults.length;) {
      const rest = [...faults.slice(0, at), ...faults.slice(at + size)];
      if (take({ ...plan, faults: rest })) faults = rest;
      else at += size;
    }
  }
}

/** For the plans of one cluster. */
export const SIMPLER_CLUSTER: readonly Simplify<Plan>[] = [
  (plan) => ({ ...plan, network: PERFECT_NETWORK }),
  (plan) => ({ ...plan, network: { ...plan.network, lossProbability: 0 } }),
  (plan) => ({ ...plan, network: { ...plan.network, duplicateProbability: 0 } }),
  (plan) => ({ ...plan, network: { ...plan.network, detourProbability: 0 } }),
  (plan) => ({ ...plan, network: { ...plan.network, isAsymmetric: false, delayMaxMs: PERFECT_NETWORK.delayMaxMs } }),
  (plan) => ({ ...plan, lost: [] }),
  (plan) => ({ ...plan, evictAfterMs: undefined }),
  (plan) => ({ ...plan, broadcasts: true }),
  (plan) => ({ ...plan, directMembersMax: Math.max(plan.directMembersMax, plan.nodes) }),
  (plan) => ({ ...plan, clockDrifts: plan.clockDrifts.map(() => 0) }),
  (plan) => ({ ...plan, clockOffsetsMs: plan.clockOffsetsMs.map(() => 0) }),
  (plan) => ({ ...plan, writes: Math.floor(plan.writes / 2) }),
  withoutLastNode,
];

/** The last node goes if no fault needs it; two remain at least. */
function withoutLastNode(plan: Plan): Plan {
  const last = plan.nodes - 1;
  const isNeeded = plan.lost.includes(last) || plan.faults.some(({ fault }) => "node" in fault && fault.node === last);
  if (last < 2 || isNeeded) return plan;
  const faults = plan.faults.map(({ atMs, fault }) => ({
    atMs,
    fault: fault.kind === "partition" ? { ...fault, cut: fault.cut.filter((way) => !way.includes(last)) } : fault,
  }));
  return { ...plan, nodes: last, faults };
}

function isSimpler(a: WithFaults, b: WithFaults): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}
