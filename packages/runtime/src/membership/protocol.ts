/** What the main thread and the membership thread say to each other. All of it survives a structured clone. */
import type { ClusterId, NodeId } from "@patina/base";
import type { AgentEvent, MemberInput, RefusedInput } from "@patina/agent";
import type { Member, MembershipConfig, MembershipOptions } from "@patina/membership";
import type { Keyring, SealerOptions } from "@patina/security";
import type { WatchdogConfig } from "./watchdog.js";

export interface MembershipThreadData {
  readonly cluster: ClusterId;
  readonly self: MembershipOptions["self"];
  readonly seeds: readonly string[];
  readonly remembered: readonly Member[];
  readonly config: MembershipConfig;
  /** Where its socket listens. */
  readonly address: string;
  /** What its datagrams are sealed with; undefined for plaintext. */
  readonly seal: SealerOptions | undefined;
  readonly randomSeed: number;
  readonly watchdog: WatchdogConfig;
  /** The main thread's black box, in memory that both see. */
  readonly blackBox: SharedArrayBuffer;
  /** Where the record of a wedged main thread goes. */
  readonly recordDir: string;
}

export type ToMembership =
  | { readonly kind: "heard" | "unreachable"; readonly node: NodeId }
  /** From now on, these keys. */
  | { readonly kind: "keys"; readonly keyring: Keyring }
  /** Say goodbye, close the socket, and end. */
  | { readonly kind: "leave" };

export type FromMembership =
  | { readonly kind: "ready" }
  | {
      readonly kind: "cannot-listen";
      readonly code: string;
      readonly message: string;
      readonly hint: string | undefined;
    }
  /** What the agent must know, in order. */
  | { readonly kind: "inputs"; readonly inputs: readonly (MemberInput | RefusedInput)[] }
  | { readonly kind: "event"; readonly event: Extract<AgentEvent, { kind: "outlived" }> }
  | ({ readonly kind: "status" } & MembershipStatus)
  | { readonly kind: "left" };

/** What membership knows of itself; sent when it has changed. */
export interface MembershipStatus {
  readonly self: Member;
  readonly localHealth: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}
