/** Every time and limit of the failure detector, with the value we recommend for one region and the reason for it. */
import { assert } from "@patina/base";

export interface MembershipConfig {
  /** `probesPerInterval` members are probed at once per interval, times (1 + local health). */
  readonly probeIntervalMs: number;
  /** 3: at any size somebody finds a silent member out in the first interval or the second; six datagrams a second. */
  readonly probesPerInterval: number;
  /** Bounds of the wait for a direct ack, before helpers are asked; in between it follows the peer's round trip. */
  readonly directTimeoutMinMs: number;
  readonly directTimeoutMaxMs: number;
  /** Members asked to probe on our behalf. 3: one lossy link is not mistaken for a death. */
  readonly helpersMax: number;
  /** Probes we run for others at a time. When full a request is dropped; the asker counts it as our silence. */
  readonly relaysMax: number;
  /** A helper's wait for the target. Shorter than the asker's rest of the interval, or nacks come too late to count. */
  readonly relayTimeoutMaxMs: number;
  /** The shortest suspicion is the greater of this and `suspicionPerDecadeMs × log10 N`. 5 s outlives most stalls. */
  readonly suspicionMinMs: number;
  readonly suspicionPerDecadeMs: number;
  /** The longest suspicion, without any confirmation, is this many times the shortest. */
  readonly suspicionMaxFactor: number;
  /** Independent accusers that bring a suspicion down to its shortest; 0 with fewer than `confirmationsFrom` nodes. */
  readonly confirmations: number;
  readonly confirmationsFrom: number;
  /** The worst local health, 0 being the best. */
  readonly localHealthMax: number;
  /** A wake later than this means that we stalled, and what we did not hear in the meantime proves nothing. */
  readonly lateTickMs: number;
  /** More failures than this fraction of the last `isolationWindow` probes: the fault is on our side. */
  readonly isolationWindow: number;
  readonly isolationFraction: number;
  /** Isolated, we still accuse one member in this time: else the survivors of a disaster would never bury the rest. */
  readonly isolatedAccusationMs: number;
  /** While there are rumours, `gossipFanout` members get them in every interval, beside what probes carry. */
  readonly gossipIntervalMs: number;
  readonly gossipFanout: number;
  /** A rumour is sent `retransmitFactor × ceil(log10(N + 1))` times. */
  readonly retransmitFactor: number;
  /** Rumours waiting. When full the most transmitted goes: the roster exchange repairs what it did not reach. */
  readonly rumoursMax: number;
  /** All of a datagram, before the transport seals it. 1,200 crosses every path without fragments, and a seal is 58. */
  readonly datagramBytesMax: number;
  readonly addressBytesMax: number;
  readonly apiBytesMax: number;
  /** Nodes known, tombstones included. When full the oldest tombstone goes, and without one a newcomer is ignored. */
  readonly membersMax: number;
  /** Between attempts to reach the seeds that are not alive members. They never end. */
  readonly joinBackoffMinMs: number;
  readonly joinBackoffMaxMs: number;
  /** Addresses tried in one attempt; the next attempt goes on where this one ended. */
  readonly joinFanout: number;
  /** One dead member is called in every such interval: the only way two halves of a healed partition meet, and how soon. */
  readonly reconnectIntervalMs: number;
  /** How long dead and left nodes are remembered. Shorter, and a late rumour can bring one back. */
  readonly tombstoneMs: number;
  readonly reapIntervalMs: number;
  /** To one peer, at most one accusation, one exchange of rosters, and one roster on request, in this time. */
  readonly accusationIntervalMs: number;
  readonly exchangeIntervalMs: number;
  readonly rosterIntervalMs: number;
  /** Rumours on their way explain a mismatch of rosters; we exchange in spite of them only after this long without. */
  readonly exchangeAnywayMs: number;
  /** Datagrams of one roster. A larger roster goes out in parts, beginning anywhere, one part per request. */
  readonly rosterDatagramsMax: number;
  /** Members told at once that we leave; they tell the others. */
  readonly leaveFanout: number;
  /** A greater step is refused: one bad record would make a node that is well unable to refute. */
  readonly incarnationJumpMax: number;
  /** A member whose own thread is further behind than this is not given work for others. */
  readonly lagMaxMs: number;
  /** Nor one that came back from the dead more than `flapsMax` times within the window. */
  readonly flapsMax: number;
  readonly flapWindowMs: number;
  /** How far a boot number (Unix ms) may be ahead of our wall clock. */
  readonly bootAheadMs: number;
  /** Of so many pings, an ack is still known for an answer; any other is another member's, or too old to say anything. */
  readonly pingsRememberedMax: number;
}

export const defaultMembershipConfig: MembershipConfig = {
  probeIntervalMs: 1_000,
  probesPerInterval: 3,
  directTimeoutMinMs: 150,
  directTimeoutMaxMs: 500,
  helpersMax: 3,
  relaysMax: 64,
  relayTimeoutMaxMs: 350,
  suspicionMinMs: 5_000,
  suspicionPerDecadeMs: 4_000,
  suspicionMaxFactor: 6,
  confirmations: 2,
  confirmationsFrom: 5,
  localHealthMax: 7,
  lateTickMs: 250,
  isolationWindow: 20,
  isolationFraction: 0.3,
  isolatedAccusationMs: 30_000,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  retransmitFactor: 4,
  rumoursMax: 1_024,
  datagramBytesMax: 1_142,
  addressBytesMax: 128,
  apiBytesMax: 256,
  membersMax: 5_000,
  joinBackoffMinMs: 1_000,
  joinBackoffMaxMs: 30_000,
  joinFanout: 8,
  reconnectIntervalMs: 1_000,
  tombstoneMs: 48 * 3_600_000,
  reapIntervalMs: 60_000,
  accusationIntervalMs: 1_000,
  exchangeIntervalMs: 5_000,
  rosterIntervalMs: 500,
  exchangeAnywayMs: 10_000,
  rosterDatagramsMax: 64,
  leaveFanout: 64,
  incarnationJumpMax: 2 ** 20,
  lagMaxMs: 2_000,
  flapsMax: 3,
  flapWindowMs: 600_000,
  bootAheadMs: 60_000,
  pingsRememberedMax: 1024,
};

/** Ten times as fast and with tiny limits, so that what is rare in production is common in a test. */
export const testMembershipConfig: MembershipConfig = {
  ...defaultMembershipConfig,
  probeIntervalMs: 100,
  directTimeoutMinMs: 15,
  directTimeoutMaxMs: 50,
  relaysMax: 4,
  relayTimeoutMaxMs: 35,
  suspicionMinMs: 500,
  suspicionPerDecadeMs: 400,
  lateTickMs: 25,
  isolatedAccusationMs: 3_000,
  gossipIntervalMs: 20,
  rumoursMax: 8,
  datagramBytesMax: 400,
  addressBytesMax: 64,
  apiBytesMax: 64,
  membersMax: 32,
  joinBackoffMinMs: 100,
  joinBackoffMaxMs: 3_000,
  joinFanout: 2,
  reconnectIntervalMs: 500,
  tombstoneMs: 60_000,
  reapIntervalMs: 1_000,
  accusationIntervalMs: 100,
  exchangeIntervalMs: 500,
  rosterIntervalMs: 50,
  exchangeAnywayMs: 1_000,
  rosterDatagramsMax: 8,
  leaveFanout: 2,
  lagMaxMs: 200,
  flapWindowMs: 20_000,
};

/** Fixed parts of the largest record, beside its address and api. */
const RECORD_BYTES_MAX = 64;

export function checkMembershipConfig(config: MembershipConfig): void {
  assert(
    config.directTimeoutMaxMs + config.relayTimeoutMaxMs < config.probeIntervalMs,
    "a helper's nack arrives within the probe interval",
  );
  assert(config.directTimeoutMinMs <= config.directTimeoutMaxMs, "the direct timeout's bounds are in order");
  assert(config.suspicionMaxFactor >= 1, "the longest suspicion is not the shorter one");
  assert(config.joinBackoffMinMs <= config.joinBackoffMaxMs, "the join backoff's bounds are in order");
  const record = RECORD_BYTES_MAX + config.addressBytesMax + config.apiBytesMax;
  assert(config.datagramBytesMax >= 2 * record, "a datagram holds its sender's record and one more");
}
