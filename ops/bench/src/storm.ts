/** What is said to the thread of an agent that writes far more than it may push. */
import { type AgentConfig, defaultAgentConfig } from "@patina/agent";

export interface StormOrder {
  readonly path: string;
  readonly peers: readonly string[];
  readonly seconds: number;
}

/** A small budget, so that fifty times as much is still what a disk takes. */
export const STORM_CONFIG: AgentConfig = {
  ...defaultAgentConfig,
  gossip: { ...defaultAgentConfig.gossip, originBytesPerSecond: 32 << 10, originBurstBytes: 128 << 10 },
};

export const STORM_TIMES = 50;
