/** Limits and timings of replication inside one cluster. Every number is a ceiling or a cadence with its reason. */
export interface GossipConfig {
  /** How long followers of a just-sent change wait to go out together. The first change never waits. */
  readonly coalesceMs: number;
  /** A coalescing batch goes out at once beyond this. */
  readonly coalesceBytesMax: number;
  /** Anti-entropy asks one peer every so often, uniformly between the two, so that rounds of many nodes spread out. */
  readonly syncIntervalMinMs: number;
  readonly syncIntervalMaxMs: number;
  /** A peer that did not answer a round by then is forgotten for it. */
  readonly syncTimeoutMs: number;
  /** Versions asked for in one request: the rest waits for the next, so one far-behind peer cannot flood itself. */
  readonly wantVersionsMax: number;
  /** Versions asked for are not asked of others until then. */
  readonly wantTimeoutMs: number;
  /** What one request is answered with, at most: reading it back from rows is one step of the thread. */
  readonly repairBytesMax: number;
  /** One CHANGES frame. */
  readonly frameBytesMax: number;
  /** Changes that came before their predecessors wait here; beyond it they are dropped and fetched again later. */
  readonly parkedBytesMax: number;
  readonly parkedVersionsMax: number;
  /** How much of that one origin may take. */
  readonly parkedOriginShare: number;
  /** Origins are served in turns of so many bytes. */
  readonly turnBytes: number;
  /** A cluster of more members than this tells its changes by way of relays. */
  readonly directMembersMax: number;
  /** Contacts in another group: whom a stream is kept to, and how many of them relay a change. */
  readonly contactsMax: number;
  readonly relaysPerGroup: number;
  /** Of a batch larger than this, a group's second relay gets only the heads. */
  readonly relayTwiceBytesMax: number;
  /** Versions remembered as relayed, so that none is relayed twice. */
  readonly relayedMax: number;
  /** In a large cluster, heads that moved are told to `headsFanout` members at a time, `headsRepeat` times. */
  readonly headsEveryMs: number;
  readonly headsFanout: number;
  readonly headsRepeat: number;
  /** A version heard of is asked for when it has not come after the first, and of others after the next. */
  readonly pullAfterMs: readonly number[];
  /** Origins waited for in that way. */
  readonly lacksMax: number;
  /** What this member broadcasts, at most. */
  readonly originBytesPerSecond: number;
  readonly originBurstBytes: number;
  /** Lacking more versions than this, a member asks a peer for all its rows rather than for what happened to them. */
  readonly snapshotFromVersions: number;
  /** The same of one that has just had them: versions written meanwhile come faster singly than in another pass as long. */
  readonly snapshotAgainFromVersions: number;
  /** One piece of a snapshot: read, and joined, in one step of the thread. */
  readonly snapshotBytes: number;
  /** A change stamped further ahead of here than this waits until it is due: one fast clock must not drag them all. */
  readonly aheadMaxMs: number;
  /** Further ahead than this, somebody has to look at that clock. */
  readonly aheadAlarmMs: number;
  /** Origins and gap spans accepted from a peer: what a forged frame can make us hold. */
  readonly originsMax: number;
  readonly spansMax: number;
}

export const defaultGossipConfig: GossipConfig = {
  coalesceMs: 2,
  coalesceBytesMax: 64 << 10,
  syncIntervalMinMs: 500,
  syncIntervalMaxMs: 1500,
  syncTimeoutMs: 5000,
  wantVersionsMax: 20_000,
  wantTimeoutMs: 2000,
  repairBytesMax: 256 << 10,
  frameBytesMax: 256 << 10,
  parkedBytesMax: 64 << 20,
  parkedVersionsMax: 10_000,
  parkedOriginShare: 0.5,
  turnBytes: 4 << 10,
  directMembersMax: 64,
  contactsMax: 3,
  relaysPerGroup: 2,
  relayTwiceBytesMax: 4 << 10,
  relayedMax: 20_000,
  headsEveryMs: 50,
  headsFanout: 3,
  headsRepeat: 3,
  pullAfterMs: [20, 100, 300],
  lacksMax: 1024,
  originBytesPerSecond: 4 << 20,
  originBurstBytes: 16 << 20,
  snapshotFromVersions: 50_000,
  snapshotAgainFromVersions: 1_000_000,
  snapshotBytes: 64 << 10,
  aheadMaxMs: 500,
  aheadAlarmMs: 60_000,
  originsMax: 200_000,
  spansMax: 4096,
};

/** Limits so small that every one of them is reached in a short test. */
export const testGossipConfig: GossipConfig = {
  ...defaultGossipConfig,
  coalesceBytesMax: 256,
  wantVersionsMax: 7,
  repairBytesMax: 2 << 10,
  frameBytesMax: 512,
  parkedBytesMax: 4 << 10,
  parkedVersionsMax: 8,
  parkedOriginShare: 1,
  turnBytes: 256,
  relayTwiceBytesMax: 200,
  relayedMax: 8,
  lacksMax: 4,
  originBytesPerSecond: 8 << 10,
  originBurstBytes: 8 << 10,
  snapshotFromVersions: 25,
  snapshotAgainFromVersions: 100,
  snapshotBytes: 256,
  spansMax: 3,
};
