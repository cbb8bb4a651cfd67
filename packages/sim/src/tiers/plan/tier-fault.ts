/** Everything that can go wrong across the tiers, as plain data. Each says how long it lasts, and the world undoes it then. */

/** What a restarted process finds of what it knew. */
export type DiskFate = "kept" | "lost";

/** Sites that lose their path to one another: a region by its number, a global agent by its own. */
export type TierFault =
  | { readonly kind: "agent-down"; readonly region: number; readonly agent: number; readonly disk: DiskFate; readonly forMs: number } // prettier-ignore
  /** All of a region's agents, and its borders with them. */
  | { readonly kind: "region-lost"; readonly region: number; readonly forMs: number }
  /** Its agents reach each other and its own router, and nobody else. */
  | { readonly kind: "region-cut"; readonly region: number; readonly forMs: number }
  /** One agent cannot reach the global tier; the others can. */
  | { readonly kind: "border-cut"; readonly region: number; readonly agent: number; readonly forMs: number }
  /** The region falls into two sides, and each has a border. */
  | { readonly kind: "region-split"; readonly region: number; readonly forMs: number }
  /** The agent that publishes sees hardly any of its region's machines, and believes that. */
  | { readonly kind: "border-blind"; readonly region: number; readonly forMs: number }
  /** What is said in the region arrives late at this agent. */
  | { readonly kind: "agent-lags"; readonly region: number; readonly agent: number; readonly byMs: number; readonly forMs: number } // prettier-ignore
  /** All agents that borders publish to; the routers of the regions go on. */
  | { readonly kind: "tier-lost"; readonly disk: DiskFate; readonly forMs: number }
  /** Nobody in the global tier, routers included, has anything left of the index. */
  | { readonly kind: "index-lost" }
  | { readonly kind: "global-down"; readonly global: number; readonly disk: DiskFate; readonly forMs: number }
  | { readonly kind: "global-cut"; readonly global: number; readonly forMs: number }
  /** The region's router starts again, and reaches nobody but its own region. */
  | { readonly kind: "router-alone"; readonly region: number; readonly forMs: number }
  /** A row of one global agent's index is not there any more, is of an app that nobody has, or makes no sense. */
  | { readonly kind: "corrupt"; readonly global: number; readonly how: "drop" | "ghost" | "garble" | "garble-region" }
  /** The region's credential comes with another region's rows. */
  | { readonly kind: "forge"; readonly region: number; readonly victim: number }
  /** Every machine of the region is destroyed, at once. */
  | { readonly kind: "clear-region"; readonly region: number }
  | { readonly kind: "flap"; readonly region: number; readonly times: number }
  /** An app's machine moves: it starts there before it is destroyed here. */
  | { readonly kind: "hand-over"; readonly from: number; readonly to: number }
  | { readonly kind: "step-clock"; readonly region: number; readonly byMs: number };

export interface TimedTierFault {
  readonly atMs: number;
  readonly fault: TierFault;
}
