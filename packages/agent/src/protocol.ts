/**
 * The contract of an agent: what it may be told and what it may ask for. Plain data both ways. The driver performs the
 * effects in order; a returned effect implies that what it speaks of is committed.
 *
 * Who is in the cluster is told to it, by the node's membership, which in production has a thread and a socket to itself.
 */
import type {
  AppError,
  Change,
  ChangedRow,
  NodeId,
  OriginId,
  OwnershipConflict,
  Write,
  WriteOutcome,
} from "@patina/base";
import type { Member, MemberState } from "@patina/membership";

/** Names a stream between driver and agent. The agent names those it opens, the driver those it accepts. */
export type StreamId = string;

export type AgentTimer =
  | { readonly kind: "flush" }
  | { readonly kind: "heads" }
  | { readonly kind: "pull" }
  | { readonly kind: "links" }
  | { readonly kind: "apply" }
  | { readonly kind: "due" }
  | { readonly kind: "sync" }
  | { readonly kind: "alone" }
  | { readonly kind: "greeting"; readonly stream: StreamId }
  | { readonly kind: "redial"; readonly node: NodeId };

export type Input =
  | { readonly kind: "start" }
  /** What the node's membership found out: see `MembershipEffect`. */
  | MemberInput
  | RefusedInput
  | {
      readonly kind: "stream-opened";
      readonly stream: StreamId;
      readonly direction: "in" | "out";
      /** Whom the transport has proved to be at the other end; undefined where it proves nobody. */
      readonly node?: NodeId;
    }
  | { readonly kind: "stream-frame"; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** So many of the bytes sent have left this process. */
  | { readonly kind: "stream-flushed"; readonly stream: StreamId; readonly bytes: number }
  /** `isRefused`: it never opened, since nothing listens at that address. */
  | {
      readonly kind: "stream-closed";
      readonly stream: StreamId;
      readonly reason: string;
      readonly isRefused?: boolean;
    }
  | { readonly kind: "wake"; readonly timer: AgentTimer }
  /** Writes that arrived together share one transaction. Each is answered by an `outcome` with its ticket. */
  | { readonly kind: "write"; readonly writes: readonly Ticketed[] };

export type MemberInput =
  | { readonly kind: "member"; readonly member: Member; readonly previous: MemberState | undefined }
  | { readonly kind: "forgotten"; readonly node: NodeId }
  | { readonly kind: "fitness"; readonly node: NodeId; readonly isFit: boolean };

/**
 * The transport turned something away before it got here: so many times, the last time from there. Reasons are few and
 * fixed.
 */
export interface RefusedInput {
  readonly kind: "refused";
  readonly transport: "datagram" | "stream";
  readonly from: string;
  readonly reason: string;
  readonly times: number;
}

/** Why a stream that the transport let in was closed. */
export type StreamFault =
  | "malformed-frame"
  /** Another frame came first. */
  | "no-greeting"
  | "second-greeting"
  | "other-release"
  | "foreign-cluster"
  /** Of our cluster, before or after a restore. */
  | "other-generation"
  /** Not the node that its certificate names, or not the one we dialed. */
  | "wrong-node"
  | "own-node";

export interface Ticketed {
  readonly ticket: number;
  readonly write: Write;
}

export type Effect =
  /** For the node's membership: a frame came from this member, which is as good as an ack. */
  | { readonly kind: "heard"; readonly node: NodeId }
  /** For it, too: this member's stream broke, and nothing listens any more where it was. */
  | { readonly kind: "unreachable"; readonly node: NodeId }
  | { readonly kind: "open-stream"; readonly stream: StreamId; readonly node: NodeId; readonly address: string }
  | { readonly kind: "send"; readonly stream: StreamId; readonly bytes: Uint8Array }
  | { readonly kind: "close-stream"; readonly stream: StreamId; readonly reason: string }
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: AgentTimer }
  | { readonly kind: "outcome"; readonly ticket: number; readonly outcome: WriteOutcome }
  | { readonly kind: "event"; readonly event: AgentEvent };

/** What an operator, a metric or a subscription may want to know. The agent itself never logs or counts. */
export type AgentEvent =
  | { readonly kind: "member"; readonly member: Member; readonly previous: MemberState | undefined }
  | { readonly kind: "changed"; readonly source: "local" | "remote"; readonly rows: readonly ChangedRow[] }
  | { readonly kind: "quarantined"; readonly change: Change; readonly reason: string }
  /** A write that lost to another owner's, or a row that two claim. Whoever wrote it for `isOurs` must stop. */
  | OwnershipConflict
  /** This version does not follow the one before: its node was copied, or put back to an old copy of its disk. */
  | { readonly kind: "forked"; readonly origin: OriginId; readonly version: number }
  /** Equal holdings with unequal digests: a bug or a damaged disk, never normal. */
  | { readonly kind: "divergence"; readonly peer: NodeId; readonly ours: string; readonly theirs: string }
  /** An origin's clock is so far ahead that its changes wait. Its own clock is wrong, or this node's is. */
  | { readonly kind: "clock-ahead"; readonly origin: OriginId; readonly aheadMs: number }
  /** Compared equal with a peer: for the first time since the start, this node is as complete as anybody. */
  | { readonly kind: "synced"; readonly peer: NodeId }
  /** So far behind that it takes a peer's rows one by one, and when that is done. */
  | { readonly kind: "bootstrap"; readonly state: "begun" | "done"; readonly peer: NodeId }
  /** What lost origins left owing was made up for, from the rows of one member that owed nothing, or of all. */
  | { readonly kind: "restituted"; readonly origins: readonly OriginId[]; readonly from: "one" | "all" }
  /** This database must not be used any more, for this reason: the driver must start over with an empty one. */
  | { readonly kind: "evicted"; readonly reason: string }
  /** The others hold this start of the node for older than one that is gone: the driver must start it above that number. */
  | { readonly kind: "outlived"; readonly boot: number }
  /** More waits for this peer than may: it gets heads only, until it has caught up. */
  | { readonly kind: "peer-lagging"; readonly peer: NodeId }
  /** This member writes more than it may push. It is heard of all the same, later, and with what was overwritten left out. */
  | { readonly kind: "over-budget"; readonly isOver: boolean }
  /** No work for others is put on this member until it is fit again: its own thread lags, or it dies and returns. */
  | { readonly kind: "fitness"; readonly node: NodeId; readonly isFit: boolean }
  /** The code is for counting; what the transport refused has none, and was counted as it came in. */
  | { readonly kind: "refused"; readonly from: string; readonly reason: string; readonly code?: StreamFault }
  /** The database can take no more writes. The driver must stop the process. */
  | { readonly kind: "store-failed"; readonly error: AppError };
