/**
 * Sees which rare paths a run goes down, from what goes into a step and what comes out of it. The agent itself counts
 * nothing. Once a path was seen, it is not looked for again.
 */
import type { AgentEvent, NodeEffect, NodeInput, SingleThread } from "@patina/agent";
import { frameKind } from "@patina/gossip";
import type { MembershipConfig, MembershipTimer } from "@patina/membership";
import { isOptionalFrame } from "../world/releases.js";
import { MessagePaths } from "./message-paths.js";
import type { PathName } from "./paths.js";

export class Coverage {
  readonly seen = new Set<PathName>();
  readonly #config: MembershipConfig;
  readonly #messages: MessagePaths;

  constructor(config: MembershipConfig) {
    this.#config = config;
    this.#messages = new MessagePaths(config, this.seen);
  }

  onStep(node: number, agent: SingleThread, input: NodeInput, effects: readonly NodeEffect[], nowMs: number): void {
    if (input.kind === "wake") this.#onWake(input.timer, agent, effects, nowMs);
    if (input.kind === "stream-frame") this.#onFrame(input.bytes, agent, effects);
    this.#messages.onStep(node, input, effects);
    for (const effect of effects) {
      if (effect.kind === "event") this.#onEvent(effect.event);
      else if (effect.kind === "wake" && effect.timer.kind === "due") this.seen.add("a change waited for the clock");
    }
  }

  #onWake(
    timer: Extract<NodeInput, { kind: "wake" }>["timer"],
    agent: SingleThread,
    effects: readonly NodeEffect[],
    nowMs: number,
  ): void {
    if (timer.kind === "membership") return this.#onMembershipWake(timer.timer, agent, nowMs);
    if (timer.kind === "greeting" && effects.length > 0) this.seen.add("a stream was closed for want of a greeting");
    if (timer.kind === "redial" && effects.length > 0) this.seen.add("a member was dialed again");
  }

  #onMembershipWake({ kind, atMs }: MembershipTimer, agent: SingleThread, nowMs: number): void {
    if (nowMs - atMs > this.#config.lateTickMs) this.seen.add("a late timer voided what was under way");
    if (kind !== "probe" || this.seen.has("a node took itself for the sick one")) return;
    if (agent.localHealth === this.#config.localHealthMax) this.seen.add("a node took itself for the sick one");
  }

  #onFrame(bytes: Uint8Array, agent: SingleThread, effects: readonly NodeEffect[]): void {
    if (isOptionalFrame(bytes) && effects.every((it) => it.kind !== "close-stream")) {
      this.seen.add("a member of the next release was understood");
    }
    const kind = frameKind(bytes);
    if (kind === "relay") this.seen.add("a change came by way of a relay");
    if (kind === "want") this.seen.add("a peer was asked for what was missing");
    if (kind === "repaired" && bytes[1] === 0) this.seen.add("a repair came in parts");
    if (kind === "changes" && agent.parkedBytes > 0) this.seen.add("a change waited for its predecessor");
  }

  #onEvent(event: AgentEvent): void {
    const path = event.kind === "member" ? pathOfMember(event) : EVENT_PATHS[event.kind];
    if (path !== undefined) this.seen.add(path);
    if (
      event.kind === "changed" &&
      event.source === "remote" &&
      event.rows.some(({ table }) => table === "_patina_schemas")
    ) {
      this.seen.add("a schema was adopted");
    }
  }
}

const EVENT_PATHS: Partial<Record<AgentEvent["kind"], PathName>> = {
  quarantined: "a change was put into quarantine",
  "clock-ahead": "a clock far ahead raised the alarm",
  "peer-lagging": "a peer lagged behind",
  refused: "a stranger was refused",
  "store-failed": "a full disk stopped a node",
  forked: "two histories under one name were found",
  fenced: "a late write was fenced off",
  doubtful: "a row had two owners for a while",
};

function pathOfMember({ member, previous }: Extract<AgentEvent, { kind: "member" }>): PathName | undefined {
  if (member.state === "dead") return "a member was found dead";
  if (member.state === "left") return "a member left";
  if (member.state !== "alive") return undefined;
  if (previous === "suspect") return "a suspect refuted";
  return previous === "dead" ? "a dead member came back" : undefined;
}
