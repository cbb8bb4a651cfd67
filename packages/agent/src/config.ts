/** Limits and timings of one agent, over those of its membership and its gossip. */
import { defaultGossipConfig, type GossipConfig, testGossipConfig } from "@patina/gossip";
import { defaultMembershipConfig, type MembershipConfig, testMembershipConfig } from "@patina/membership";
import type { Lane } from "./lanes.js";

export interface AgentConfig {
  readonly membership: MembershipConfig;
  readonly gossip: GossipConfig;
  /** A member that sends frames is told to membership as living at most this often. */
  readonly heardEveryMs: number;
  /** Remote changes applied in one step, about: larger steps stall the thread, smaller ones waste commits. */
  readonly applyBytesMax: number;
  /** Given to a peer's stream at a time: what waits beyond it can still be overtaken. */
  readonly peerWindowBytes: number;
  /** What may wait for a peer, by what it is. With changes beyond it, the peer is lagging, and gets heads only. */
  readonly laneBytesMax: Readonly<Record<Lane, number>>;
  /** In a large cluster, links follow a change of members after so long: many change at once. */
  readonly relinkAfterMs: number;
  /** In a large cluster, a member to whom no stream is kept is visited this often, one after the other. */
  readonly visitEveryMs: number;
  /** With seeds that do not answer for so long, it is taken that there is nobody to catch up with. */
  readonly aloneAfterMs: number;
  /** While remote changes stream in, they are synced to disk for others to count on at most this often. */
  readonly syncEveryMs: number;
  /**
   * Deletions younger than this are never forgotten, whoever holds them: a member may just be joining, or start from a
   * checkpoint. Longer than the periods of all deltas, or every one would have to be a base.
   */
  readonly collectAfterMs: number;
  /** Members dead or gone for so long are evicted: what they held up, their copy, no longer counts. */
  readonly evictAfterMs: number;
  /** What a lost origin left owing is made up for at most this often, and by one member after the other. */
  readonly restitutionEveryMs: number;
  /** A member whose rows are read for that is asked again so often when it is silent, and then given up for now. */
  readonly restitutionSilencesMax: number;
  /** A stream whose other end has not greeted by then is closed, and redialed if it was ours. */
  readonly greetingTimeoutMs: number;
  /** Redials back off from the first to the last, doubling. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
}

export const defaultAgentConfig: AgentConfig = {
  membership: defaultMembershipConfig,
  gossip: defaultGossipConfig,
  heardEveryMs: 250,
  applyBytesMax: 32 << 10,
  peerWindowBytes: 256 << 10,
  laneBytesMax: { control: 4 << 20, urgent: 4 << 20, own: 8 << 20, relayed: 4 << 20, repair: 2 << 20 },
  relinkAfterMs: 100,
  visitEveryMs: 2000,
  aloneAfterMs: 15_000,
  syncEveryMs: 10_000,
  collectAfterMs: 2 * 3_600_000,
  evictAfterMs: 24 * 3_600_000,
  restitutionEveryMs: 30_000,
  restitutionSilencesMax: 3,
  greetingTimeoutMs: 5000,
  redialMinMs: 100,
  redialMaxMs: 5000,
};

/** Limits so small that every one of them is reached in a short simulation. */
export const testAgentConfig: AgentConfig = {
  ...defaultAgentConfig,
  membership: testMembershipConfig,
  gossip: testGossipConfig,
  heardEveryMs: 25,
  visitEveryMs: 200,
  applyBytesMax: 1 << 10,
  peerWindowBytes: 256,
  laneBytesMax: { control: 16 << 10, urgent: 256, own: 256, relayed: 256, repair: 8 << 10 },
  syncEveryMs: 300,
  collectAfterMs: 200,
  restitutionEveryMs: 500,
  greetingTimeoutMs: 1000,
};
