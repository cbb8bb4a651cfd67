/**
 * A whole node on one thread: membership and agent behind one step function, each told at once what the other found out.
 * Simulations and tests drive it; production gives membership a thread of its own and carries the same messages across.
 */
import type { NodeId, Now } from "@patina/base";
import {
  type Member,
  Membership,
  type MembershipEffect,
  type MembershipOptions,
  type MembershipTimer,
} from "@patina/membership";
import { Agent } from "./agent.js";
import type { AgentConfig } from "./config.js";
import type { StorePort } from "./ports.js";
import type { AgentTimer, Effect, Input, MemberInput } from "./protocol.js";

export interface SingleThreadOptions extends Omit<MembershipOptions, "config"> {
  readonly store: StorePort;
  readonly config: AgentConfig;
}

export type NodeTimer = AgentTimer | { readonly kind: "membership"; readonly timer: MembershipTimer };

export type NodeInput =
  | Exclude<Input, { kind: "wake" } | MemberInput>
  | { readonly kind: "wake"; readonly timer: NodeTimer }
  | { readonly kind: "datagram"; readonly from: string; readonly bytes: Uint8Array }
  /** For how long the agent's own work has been waiting for its turn. */
  | { readonly kind: "lag"; readonly lagMs: number }
  | { readonly kind: "leave" };

export type NodeEffect =
  | Exclude<Effect, { kind: "wake" | "heard" | "unreachable" }>
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: NodeTimer }
  | { readonly kind: "datagram"; readonly to: string; readonly bytes: Uint8Array };

export class SingleThread {
  readonly #membership: Membership;
  readonly #agent: Agent;

  constructor(options: SingleThreadOptions) {
    const { cluster, self, seeds, remembered = [], store, config, rng } = options;
    this.#membership = new Membership({ cluster, self, seeds, remembered, config: config.membership, rng: rng.fork() });
    const hasSeeds = seeds.length > 0;
    this.#agent = new Agent({ cluster, node: self.nodeId, hasSeeds, store, config, rng: rng.fork() });
  }

  members(): readonly Member[] {
    return this.#membership.members();
  }

  self(): Member {
    return this.#membership.self();
  }

  reachable(): NodeId[] {
    return this.#agent.reachable();
  }

  get hasSynced(): boolean {
    return this.#agent.hasSynced;
  }

  get parkedBytes(): number {
    return this.#agent.parkedBytes;
  }

  get localHealth(): number {
    return this.#membership.localHealth;
  }

  handle(input: NodeInput, now: Now): NodeEffect[] {
    switch (input.kind) {
      case "start":
        return [
          ...this.#ofMembership(this.#membership.handle(input, now), now),
          ...this.#ofAgent(this.#agent.handle(input, now), now),
        ];
      case "datagram":
      case "lag":
      case "leave":
        return this.#ofMembership(this.#membership.handle(input, now), now);
      case "wake": {
        const { timer } = input;
        if (timer.kind !== "membership") return this.#ofAgent(this.#agent.handle({ kind: "wake", timer }, now), now);
        return this.#ofMembership(this.#membership.handle({ kind: "wake", timer: timer.timer }, now), now);
      }
      default:
        return this.#ofAgent(this.#agent.handle(input, now), now);
    }
  }

  #ofMembership(effects: readonly MembershipEffect[], now: Now): NodeEffect[] {
    return effects.flatMap((effect): NodeEffect[] => {
      switch (effect.kind) {
        case "datagram":
          return [effect];
        case "wake":
          return [{ ...effect, timer: { kind: "membership", timer: effect.timer } }];
        case "refused":
        case "outlived":
          return [{ kind: "event", event: effect }];
        default:
          return this.#ofAgent(this.#agent.handle(effect, now), now);
      }
    });
  }

  #ofAgent(effects: readonly Effect[], now: Now): NodeEffect[] {
    return effects.flatMap((effect): NodeEffect[] => {
      if (effect.kind !== "heard" && effect.kind !== "unreachable") return [effect];
      return this.#ofMembership(this.#membership.handle(effect, now), now);
    });
  }
}
