/** Limits and timings of one agent, over those of its membership and its gossip. */
import { defaultGossipConfig, type GossipConfig, testGossipConfig } from "@patina/gossip";
import { defaultMembershipConfig, type MembershipConfig, testMembershipConfig } from "@patina/membership";

export interface AgentConfig {
  readonly membership: MembershipConfig;
  readonly gossip: GossipConfig;
  /** Remote changes applied in one step, about: larger steps stall the thread, smaller ones waste commits. */
  readonly applyBytesMax: number;
  /** Unsent bytes to a peer beyond which it gets no more broadcasts, only what it asks for. */
  readonly peerQueueBytesMax: number;
  /** With seeds that do not answer for so long, it is taken that there is nobody to catch up with. */
  readonly aloneAfterMs: number;
  /** While remote changes stream in, they are synced to disk for others to count on at most this often. */
  readonly syncEveryMs: number;
  /** Deletions younger than this are never forgotten, whoever holds them: a member may just be joining. */
  readonly collectAfterMs: number;
  /** Members dead or gone for so long are evicted: what they held up, their copy, no longer counts. */
  readonly evictAfterMs: number;
  /** A stream whose other end has not greeted by then is closed, and redialed if it was ours. */
  readonly greetingTimeoutMs: number;
  /** Redials back off from the first to the last, doubling. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
}

export const defaultAgentConfig: AgentConfig = {
  membership: defaultMembershipConfig,
  gossip: defaultGossipConfig,
  applyBytesMax: 32 << 10,
  peerQueueBytesMax: 8 << 20,
  aloneAfterMs: 15_000,
  syncEveryMs: 10_000,
  collectAfterMs: 60_000,
  evictAfterMs: 24 * 3_600_000,
  greetingTimeoutMs: 5000,
  redialMinMs: 100,
  redialMaxMs: 5000,
};

/** Limits so small that every one of them is reached in a short simulation. */
export const testAgentConfig: AgentConfig = {
  ...defaultAgentConfig,
  membership: testMembershipConfig,
  gossip: testGossipConfig,
  applyBytesMax: 1 << 10,
  peerQueueBytesMax: 2 << 10,
  syncEveryMs: 300,
  collectAfterMs: 200,
  greetingTimeoutMs: 1000,
};
