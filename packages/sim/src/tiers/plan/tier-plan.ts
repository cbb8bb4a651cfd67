/**
 * What a seed of the tiers means: how many regions, how large, and what they meet. Each class of fault is on or off by
 * itself, as in the plans of one cluster.
 */
import { Rng } from "@patina/base";
import type { TierFault, TimedTierFault } from "./tier-fault.js";

export interface TierPlan {
  readonly regions: number;
  readonly agentsPerRegion: number;
  /** Global agents that borders publish to; each region has a router beside them. */
  readonly cores: number;
  readonly classes: readonly TierFaultClass[];
  readonly lossProbability: number;
  readonly delayMaxMs: number;
  /** Machine updates by the regions' clients. */
  readonly updates: number;
  readonly resolves: number;
  readonly faults: readonly TimedTierFault[];
  readonly faultsEndMs: number;
  /** How far each region's clocks are off. */
  readonly clockOffsetsMs: readonly number[];
}

const ODDS = {
  loss: 0.4,
  delay: 0.4,
  "clock-offset": 0.4,
  "step-clock": 0.2,
  "agent-down": 0.5,
  "region-lost": 0.3,
  "region-cut": 0.4,
  "border-cut": 0.3,
  "region-split": 0.3,
  "border-blind": 0.3,
  "agent-lags": 0.4,
  "tier-lost": 0.25,
  "index-lost": 0.1,
  "global-down": 0.4,
  "global-cut": 0.3,
  "router-alone": 0.3,
  corrupt: 0.5,
  forge: 0.3,
  "clear-region": 0.15,
  flap: 0.4,
  "hand-over": 0.4,
} as const;

export type TierFaultClass = keyof typeof ODDS;

const CLASSES = Object.keys(ODDS) as readonly TierFaultClass[];
/** Now and then none at all: what is asserted of quiet tiers is the strictest. */
const QUIET = 0.03;
/** Now and then something lasts longer than anything is held to be fresh, and an app becomes settled meanwhile. */
const LONG = 0.1;
const LONG_MS = 14_000;
/** One tier in so many is lost for ten minutes rather than for seconds. */
const LONG_LOSS = 0.04;
const LONG_LOSS_MS = 600_000;

export const TIER_WARM_UP_MS = 6000;

export function tierPlanOf(seed: number): TierPlan {
  const rng = new Rng(seed).fork();
  const regions = 3 + rng.below(4);
  const agentsPerRegion = 2 + rng.below(3);
  const cores = 2 + rng.below(2);
  const drawn = CLASSES.filter((name) => rng.chance(ODDS[name]));
  const classes = rng.chance(QUIET) ? [] : drawn;
  const endMs = TIER_WARM_UP_MS + 8000 + rng.below(8000);
  const faults = classes.flatMap((name) => occasions(rng, name, { regions, agentsPerRegion, cores, endMs }));
  const lastMs = Math.max(endMs, ...faults.map(({ atMs, fault }) => atMs + ("forMs" in fault ? fault.forMs : 0)));
  return {
    regions,
    agentsPerRegion,
    cores,
    classes,
    lossProbability: classes.includes("loss") ? rng.between(0, 0.2) : 0,
    delayMaxMs: classes.includes("delay") ? rng.between(5, 120) : 5,
    updates: 40 + rng.below(120),
    resolves: 60 + rng.below(60),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    faultsEndMs: lastMs,
    clockOffsetsMs: Array.from({ length: regions }, () => {
      return classes.includes("clock-offset") ? Math.round(rng.between(-20_000, 20_000)) : 0;
    }),
  };
}

interface Shape {
  readonly regions: number;
  readonly agentsPerRegion: number;
  readonly cores: number;
  readonly endMs: number;
}

/** One to three times, at some moment before the end. */
function occasions(rng: Rng, name: TierFaultClass, shape: Shape): TimedTierFault[] {
  return Array.from({ length: 1 + rng.below(3) }, () => rng.between(TIER_WARM_UP_MS, shape.endMs - 500)).flatMap(
    (atMs) => {
      const fault = draw(rng, name, shape);
      return fault === undefined ? [] : [{ atMs: Math.round(atMs), fault }];
    },
  );
}

function draw(rng: Rng, name: TierFaultClass, { regions, agentsPerRegion, cores }: Shape): TierFault | undefined {
  const region = rng.below(regions);
  const agent = rng.below(agentsPerRegion);
  const global = rng.below(cores + regions);
  const other = (region + 1 + rng.below(regions - 1)) % regions;
  const forMs = Math.round(rng.chance(LONG) ? LONG_MS : rng.between(300, 5000));
  const disk = rng.chance(0.3) ? "lost" : "kept";
  switch (name) {
    case "agent-down":
      return { kind: name, region, agent, disk, forMs };
    case "border-cut":
      return { kind: name, region, agent, forMs };
    case "region-lost":
    case "region-cut":
    case "region-split":
    case "border-blind":
    case "router-alone":
      return { kind: name, region, forMs };
    case "agent-lags":
      return { kind: name, region, agent, byMs: Math.round(rng.between(50, 1500)), forMs };
    case "tier-lost":
      return { kind: name, disk, forMs: rng.chance(LONG_LOSS) ? LONG_LOSS_MS : forMs };
    case "index-lost":
      return { kind: name };
    case "global-down":
      return { kind: name, global, disk, forMs };
    case "global-cut":
      return { kind: name, global, forMs };
    case "corrupt":
      return { kind: name, global, how: rng.pick(["drop", "ghost", "garble", "garble-region"] as const) ?? "drop" };
    case "forge":
      return { kind: name, region, victim: other };
    case "clear-region":
      return { kind: name, region };
    case "flap":
      return { kind: name, region, times: 3 + rng.below(8) };
    case "hand-over":
      return { kind: name, from: region, to: other };
    case "step-clock":
      return { kind: name, region, byMs: Math.round(rng.between(-15_000, 15_000)) };
    default:
      return undefined; // Of the network and the clocks as a whole.
  }
}

/** One line: what there is and what happens to it. */
export function describeTierPlan({ regions, agentsPerRegion, cores, classes, faults, updates }: TierPlan): string {
  const size = `${regions} regions of ${agentsPerRegion} agents, ${cores} global agents and ${regions} routers`;
  return `${size}, ${updates} updates, ${faults.length} faults: ${classes.join(" ") || "none"}`;
}
