/** What the makers of faults share: the cluster, what is on, and the time there is. */
import type { Rng } from "@patina/base";
import type { Fault, TimedFault } from "./fault.js";
import { type FaultClass, isOn } from "./swarm.js";

export interface Scene {
  readonly rng: Rng;
  readonly nodes: number;
  readonly classes: readonly FaultClass[];
  readonly startMs: number;
  readonly endMs: number;
}

/** Up to `times` times, if the class is on, what `make` gives for some node at some moment before the end. */
export function occasions(
  { rng, nodes, classes, startMs, endMs }: Scene,
  name: FaultClass,
  times: number,
  make: (node: number, atMs: number) => readonly TimedFault[],
): TimedFault[] {
  const count = 1 + rng.below(times);
  const drawn = Array.from({ length: count }, () => [rng.below(nodes), rng.between(startMs, endMs - 200)] as const);
  return isOn(classes, name) ? drawn.flatMap(([node, atMs]) => make(node, atMs)) : [];
}

export function at(atMs: number, fault: Fault): TimedFault {
  return { atMs, fault };
}
