/** What a replica asks for: frames to members, and what else an agent may ask of its driver. */
import type { AppError, Change, Heads, NodeId } from "@patina/base";
import type { Frame, Interval } from "@patina/gossip";
import type { AgentEvent, Effect } from "./protocol.js";

export type ReplicaEffect =
  | { readonly kind: "frame"; readonly to: NodeId; readonly frame: Frame }
  /** Own changes, to everybody, directly or by way of relays. */
  | { readonly kind: "broadcast"; readonly changes: readonly Change[]; readonly isUrgent: boolean }
  /** Another's changes, to the members within an interval. */
  | { readonly kind: "pass-on"; readonly changes: readonly Change[]; readonly interval: Interval }
  /** To a few members, any. */
  | { readonly kind: "tell-heads"; readonly heads: Heads }
  | Extract<Effect, { kind: "wake" | "outcome" | "event" }>;

export function event(what: AgentEvent): { readonly kind: "event"; readonly event: AgentEvent } {
  return { kind: "event", event: what };
}

/** A store that was only busy is no reason to stop. */
export function storeEvents(error: AppError): ReplicaEffect[] {
  return error.code === "store-busy" ? [] : [event({ kind: "store-failed", error })];
}
