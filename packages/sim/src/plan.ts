/**
 * What a seed means: how large the cluster is, which kinds of fault it meets and when. Each class of fault is on or off
 * by itself ("swarm testing", Groce et al. 2012): runs with everything on hide what only a few together can do.
 */
import type { Rng } from "@patina/base";
import { type NetworkFaults, PERFECT_NETWORK } from "./network.js";

export type Fault =
  | { readonly kind: "crash"; readonly node: number }
  | { readonly kind: "restart"; readonly node: number }
  | { readonly kind: "partition"; readonly blocked: ReadonlySet<string> }
  | { readonly kind: "heal" };

export interface Plan {
  readonly nodes: number;
  readonly network: NetworkFaults;
  readonly faults: readonly { readonly atMs: number; readonly fault: Fault }[];
  readonly writes: number;
  /** Faults and writes happen until then; afterwards everything is healed and must converge. */
  readonly faultsEndMs: number;
  readonly clockSkewMaxMs: number;
  readonly describe: string;
}

export function planOf(rng: Rng): Plan {
  const nodes = 3 + rng.below(7);
  const faultsEndMs = 10_000 + rng.below(10_000);
  const [isLossy, duplicates, isSlow, crashes, parts, isSkewed] = Array.from({ length: 6 }, () => rng.chance(0.5));
  const network: NetworkFaults = {
    delayMinMs: PERFECT_NETWORK.delayMinMs,
    delayMaxMs: isSlow === true ? rng.between(5, 120) : PERFECT_NETWORK.delayMaxMs,
    lossProbability: isLossy === true ? rng.between(0, 0.3) : 0,
    duplicateProbability: duplicates === true ? rng.between(0, 0.5) : 0,
  };
  const faults = [
    ...(crashes === true ? crashPlan(rng, nodes, faultsEndMs) : []),
    ...(parts === true ? partitionPlan(rng, nodes, faultsEndMs) : []),
  ].sort((a, b) => a.atMs - b.atMs);
  const on = Object.entries({ isLossy, duplicates, isSlow, crashes, parts, isSkewed }).filter(([, value]) => value);
  return {
    nodes,
    network,
    faults,
    writes: 20 + rng.below(100),
    faultsEndMs,
    clockSkewMaxMs: isSkewed !== true ? 0 : rng.chance(0.5) ? 300 : 6000,
    describe: `${nodes} nodes, ${on.map(([name]) => name).join(" ") || "no faults"}`,
  };
}

function crashPlan(rng: Rng, nodes: number, endMs: number): Plan["faults"] {
  return Array.from({ length: 1 + rng.below(4) }, () => {
    const node = rng.below(nodes);
    const atMs = rng.between(1000, endMs - 2000);
    const backMs = Math.min(endMs, atMs + rng.between(50, 6000));
    return [
      { atMs, fault: { kind: "crash", node } as const },
      { atMs: backMs, fault: { kind: "restart", node } as const },
    ];
  }).flat();
}

function partitionPlan(rng: Rng, nodes: number, endMs: number): Plan["faults"] {
  return Array.from({ length: 1 + rng.below(2) }, () => {
    const atMs = rng.between(1000, endMs - 2000);
    return [
      { atMs, fault: { kind: "partition", blocked: cut(rng, nodes) } as const },
      { atMs: Math.min(endMs, atMs + rng.between(500, 6000)), fault: { kind: "heal" } as const },
    ];
  }).flat();
}

/** Two random sides, cut both ways or one way only. */
function cut(rng: Rng, nodes: number): Set<string> {
  const left = new Set(Array.from({ length: nodes }, (_, i) => i).filter(() => rng.chance(0.5)));
  const isOneWay = rng.chance(0.3);
  const blocked = new Set<string>();
  for (let a = 0; a < nodes; a++) {
    for (let b = 0; b < nodes; b++) {
      if (left.has(a) === left.has(b) || (isOneWay && left.has(b))) continue;
      blocked.add(`${a}>${b}`);
    }
  }
  return blocked;
}
