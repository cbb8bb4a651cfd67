/** A fault that real machines have, played on real agents in an enclosed network. */
import type { Cluster } from "./cluster/cluster.js";
import type { Writer } from "./cluster/writer.js";
import type { Network } from "./enclosure/network.js";

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly members: Sizes;
  /** Whether its members take checkpoints, into a directory beside theirs. */
  readonly takesCheckpoints?: boolean;
  /** Why it cannot be played here. */
  readonly whyNot?: () => string | undefined;
  /** Throws `Unmet` when something is not as it must be. What must be so in every end is looked at afterwards. */
  readonly play: (stage: Stage) => Promise<void>;
}

/** How large something is, and how large where there are only seconds for it. */
export interface Sizes {
  readonly full: number;
  readonly short: number;
}

export interface Stage {
  readonly cluster: Cluster;
  readonly network: Network;
  readonly writer: Writer;
  /** Starts the members and waits until all know each other. What must be there before them is made before. */
  readonly start: () => Promise<void>;
  /** Of two sizes, the one of this run. */
  readonly size: (sizes: Sizes) => number;
  /** Tells a step. */
  readonly say: (step: string) => void;
}
