/**
 * What a seed means: how large the cluster is, which kinds of fault it meets and when. Each class of fault is on or off
 * by itself ("swarm testing", Groce et al. 2012): runs with everything on hide what only a few together can do.
 */
import { Rng } from "@patina/base";
import { testGossipConfig } from "@patina/gossip";
import type { TimedFault } from "./fault.js";
import { clockFaults, driftsOf } from "./clock-faults.js";
import { dataFaults } from "./data-faults.js";
import { machineFaults } from "./machine-faults.js";
import { networkFaults } from "./network-faults.js";
import { type FaultClass, isOn, swarmOf } from "./swarm.js";

/** How datagrams and frames travel, for all paths alike. */
export interface NetworkConditions {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  readonly lossProbability: number;
  readonly duplicateProbability: number;
  /** Share of datagrams that take a detour of up to `detourMaxMs`. */
  readonly detourProbability: number;
  readonly detourMaxMs: number;
  /** Each direction of each path has its own share of the delay, instead of each packet. */
  readonly isAsymmetric: boolean;
}

export const PERFECT_NETWORK: NetworkConditions = {
  delayMinMs: 0.5,
  delayMaxMs: 2,
  lossProbability: 0,
  duplicateProbability: 0,
  detourProbability: 0,
  detourMaxMs: 0,
  isAsymmetric: false,
};

export interface Plan {
  readonly nodes: number;
  readonly classes: readonly FaultClass[];
  readonly network: NetworkConditions;
  readonly faults: readonly TimedFault[];
  readonly writes: number;
  /** Faults and writes begin after the warm-up and end here; afterwards the core is healed and must converge. */
  readonly faultsEndMs: number;
  /** Of each node, how far its wall clock is off at first, and how much faster it goes. */
  readonly clockOffsetsMs: readonly number[];
  readonly clockDrifts: readonly number[];
  /** Nodes outside the core: down for good once the faults are over. */
  readonly lost: readonly number[];
  /** How long a dead node keeps its place; undefined: for good. */
  readonly evictAfterMs: number | undefined;
  /** Own changes are pushed to everybody; otherwise anti-entropy is alone. */
  readonly broadcasts: boolean;
  /** With more members, changes go by way of relays, and few have a stream to each. */
  readonly directMembersMax: number;
}

export const WARM_UP_MS = 800;
/** Some clusters count as large: those of more members than so few. */
const RELAYED = 0.2;
const RELAYED_FROM_MEMBERS = 3;

export function planOf(seed: number): Plan {
  const rng = new Rng(seed).fork();
  const nodes = sizeOf(rng);
  const classes = swarmOf(rng);
  const faultsEndMs = WARM_UP_MS + 3000 + rng.below(6000);
  const scene = { rng, nodes, classes, startMs: WARM_UP_MS, endMs: faultsEndMs };
  const faults = [...machineFaults(scene), ...networkFaults(scene), ...clockFaults(scene), ...dataFaults(scene)];
  const losesSome = isOn(classes, "minority-lost") && nodes >= 4;
  return {
    nodes,
    classes,
    network: networkOf(rng, classes),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    writes: 20 + rng.below(80),
    faultsEndMs,
    ...driftsOf(scene),
    lost: losesSome
      ? rng.shuffle(Array.from({ length: nodes }, (_, i) => i)).slice(0, 1 + rng.below((nodes - 1) >> 1))
      : [],
    evictAfterMs: isOn(classes, "eviction") ? 700 : undefined,
    broadcasts: !isOn(classes, "no-broadcast"),
    directMembersMax: rng.chance(RELAYED) ? RELAYED_FROM_MEMBERS : testGossipConfig.directMembersMax,
  };
}

/** 3 to 30, mostly small: the cost grows with the square. */
function sizeOf(rng: Rng): number {
  return 3 + Math.floor(28 * rng.float() ** 8) + rng.below(3);
}

function networkOf(rng: Rng, classes: readonly FaultClass[]): NetworkConditions {
  const [loss, duplicates, delay, detour] = [
    rng.between(0, 0.3),
    rng.between(0, 0.5),
    rng.between(5, 100),
    rng.float(),
  ];
  return {
    delayMinMs: PERFECT_NETWORK.delayMinMs,
    delayMaxMs: isOn(classes, "delay") ? delay : PERFECT_NETWORK.delayMaxMs,
    lossProbability: isOn(classes, "loss") ? loss : 0,
    duplicateProbability: isOn(classes, "duplication") ? duplicates : 0,
    detourProbability: isOn(classes, "reordering") ? detour * 0.3 : 0,
    detourMaxMs: 60,
    isAsymmetric: isOn(classes, "asymmetric-delay"),
  };
}

/** One line: what there is and what happens to it. */
export function describePlan({ nodes, classes, faults, lost, writes }: Plan): string {
  const gone = lost.length === 0 ? "" : `, ${lost.length} lost for good`;
  return `${nodes} nodes${gone}, ${writes} writes, ${faults.length} faults: ${classes.join(" ") || "none"}`;
}
