/**
 * The classes of faults, each drawn for a seed by itself. Those that change what may be expected of the cluster, or that
 * hide others, come more rarely.
 */
import type { Rng } from "@patina/base";

const ODDS = {
  loss: 0.4,
  duplication: 0.4,
  reordering: 0.4,
  delay: 0.3,
  "asymmetric-delay": 0.3,
  clog: 0.3,
  partition: 0.4,
  "long-partition": 0.1,
  "stream-reset": 0.4,
  "slow-reader": 0.3,
  crash: 0.4,
  "mass-restart": 0.15,
  "rolling-restart": 0.15,
  leave: 0.2,
  "minority-lost": 0.15,
  "old-disk": 0.15,
  twin: 0.1,
  "full-disk": 0.15,
  stall: 0.4,
  "long-stall": 0.1,
  "clock-offset": 0.3,
  "clock-drift": 0.2,
  "clock-step": 0.2,
  "clock-freeze": 0.2,
  stranger: 0.3,
  "other-protocol": 0.15,
  poison: 0.1,
  "schema-change": 0.3,
  eviction: 0.25,
  "no-broadcast": 0.2,
} as const;

export type FaultClass = keyof typeof ODDS;

const FAULT_CLASSES = Object.keys(ODDS) as readonly FaultClass[];

/** Now and then none at all: what is asserted of a quiet cluster is the strictest. */
const QUIET = 0.03;

export function swarmOf(rng: Rng): FaultClass[] {
  const drawn = FAULT_CLASSES.filter((name) => rng.chance(ODDS[name]));
  return rng.chance(QUIET) ? [] : drawn;
}

export function isOn(classes: readonly FaultClass[], name: FaultClass): boolean {
  return classes.includes(name);
}
