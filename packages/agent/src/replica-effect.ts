/** What a replica asks for: frames to members, and what else an agent may ask of its driver. */
import type { NodeId } from "@patina/base";
import type { Frame } from "@patina/gossip";
import type { AgentEvent, Effect } from "./protocol.js";

export type ReplicaEffect =
  | { readonly kind: "frame"; readonly to: NodeId; readonly frame: Frame }
  | { readonly kind: "broadcast"; readonly frame: Frame }
  | Extract<Effect, { kind: "wake" | "outcome" | "event" }>;

export function event(what: AgentEvent): { readonly kind: "event"; readonly event: AgentEvent } {
  return { kind: "event", event: what };
}
