/** What a border sees of its region, read from the agent it runs in: a port, since this package knows of no store. */
import type { Hlc } from "@patina/base";
import type { PlacementClass } from "../summary.js";

export interface RegionMember {
  readonly nodeId: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  /** Where it serves HTTP. */
  readonly api: string;
}

/** All answers are of now, and agree with each other. */
export interface RegionView {
  readonly nodeId: string;
  readonly api: string;
  /** Does this agent know as much as its peers did when it started? */
  readonly hasSynced: boolean;
  /** Whether the schema says what an app is; without it there is nothing to tell. */
  readonly hasView: boolean;
  /** The nodes whose copies count, this one among them, whether they are up or not. */
  enlisted(): readonly string[];
  /** Everybody ever heard of but this agent itself. */
  members(): readonly RegionMember[];
  apps(): readonly string[];
  classOf(app: string): PlacementClass | undefined;
  /** The highest stamp of the app's own rows, deleted ones included: equal detail gives the equal number everywhere. */
  highWater(app: string): Hlc;
  /** The highest stamp of any row. */
  regionHighWater(): Hlc;
  /** Are versions known that this agent lacks, or that its rows depend on? */
  hasGaps(): boolean;
}
