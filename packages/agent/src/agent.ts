/**
 * One member of one cluster: membership and a replica behind one step function.
 *
 *   datagrams ─► membership ─member events─► links ─► streams
 *   frames ────► links (who is it?) ───────► replica ─► store
 *   writes ────────────────────────────────► replica ─► store
 *
 * The same class runs in production and in simulation: `handle(input, now) → effects`, nothing ambient.
 */
import { MalformedError, type ClusterId, type NodeId, type Now, type Rng, unreachable } from "@patina/base";
import { decodeFrame, encodeFrame } from "@patina/gossip";
import { type Member, Membership, type MembershipEffect, type MemberMeta } from "@patina/membership";
import type { AgentConfig } from "./config.js";
import { Links } from "./links.js";
import type { StorePort } from "./ports.js";
import type { Effect, Input, StreamId } from "./protocol.js";
import { Replica } from "./replica.js";
import type { ReplicaEffect } from "./replica-effect.js";

export interface AgentOptions {
  readonly cluster: ClusterId;
  readonly self: {
    readonly nodeId: NodeId;
    /** Greater than at any start before, and durable before the first packet. */
    readonly boot: number;
    /** Where others reach it: `host:port` of datagrams and streams alike. */
    readonly address: string;
    readonly meta: MemberMeta;
  };
  readonly seeds: readonly string[];
  readonly remembered?: readonly Member[];
  readonly store: StorePort;
  readonly config: AgentConfig;
  readonly rng: Rng;
}

export class Agent {
  readonly #config: AgentConfig;
  readonly #membership: Membership;
  readonly #links: Links;
  readonly #replica: Replica;
  #hasSynced: boolean;

  constructor(options: AgentOptions) {
    const { cluster, self, seeds, remembered, store, config, rng } = options;
    this.#config = config;
    this.#membership = new Membership({
      cluster,
      self,
      seeds,
      ...(remembered === undefined ? {} : { remembered }),
      config: config.membership,
      rng: rng.fork(),
    });
    this.#links = new Links(self.nodeId, cluster, config);
    this.#replica = new Replica(store, config, rng.fork());
    this.#hasSynced = seeds.length === 0;
  }

  /** Every other member ever heard of and not forgotten yet. */
  members(): readonly Member[] {
    return this.#membership.members();
  }

  self(): Member {
    return this.#membership.self();
  }

  /** Members it can exchange frames with right now. */
  reachable(): NodeId[] {
    return this.#links.reachable();
  }

  /**
   * Has it compared equal with a peer since it started, or is there nobody to compare with: no seeds, or none that
   * answered for a while? Before, what it holds may be long out of date.
   */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get parkedBytes(): number {
    return this.#replica.parkedBytes;
  }

  /** 0 when healthy; grows as this node finds itself slow, and makes it slower to accuse others. */
  get localHealth(): number {
    return this.#membership.localHealth;
  }

  handle(input: Input, now: Now): Effect[] {
    switch (input.kind) {
      case "start":
        return [
          ...this.#members(this.#membership.handle(input, now)),
          ...this.#replicate(this.#replica.start(now)),
          ...this.#awaitPeers(),
        ];
      case "datagram":
        return this.#members(this.#membership.handle(input, now));
      case "leave":
        return this.#members(this.#membership.handle(input, now));
      case "stream-opened":
        return this.#links.onOpened(input.stream, input.direction, input.node);
      case "stream-frame":
        return this.#onFrame(input.stream, input.bytes, now);
      case "stream-flushed": {
        const caughtUp = this.#links.onFlushed(input.stream, input.bytes);
        return caughtUp === undefined ? [] : this.#replicate(this.#replica.compareWith(caughtUp, now));
      }
      case "stream-closed":
        return this.#onClosed(input.stream);
      case "refused":
        return [refused(input.from, `${input.transport}: ${input.reason}`)];
      case "write":
        return this.#replicate(this.#replica.write(input.writes, now));
      case "wake":
        return this.#onWake(input.timer, now);
      default:
        return unreachable(input);
    }
  }

  #onWake(timer: Extract<Input, { kind: "wake" }>["timer"], now: Now): Effect[] {
    switch (timer.kind) {
      case "membership":
        return this.#members(this.#membership.handle({ kind: "wake", timer: timer.timer }, now));
      case "alone":
        if (this.#links.reachable().length === 0) this.#hasSynced = true;
        return this.#awaitPeers();
      case "greeting":
        return this.#links.onGreetingDue(timer.stream);
      case "redial":
        return this.#links.redial(timer.node);
      case "sync":
        return [...this.#evictGone(now), ...this.#replicate(this.#replica.onWake(timer, this.#links.reachable(), now))];
      default:
        return this.#replicate(this.#replica.onWake(timer, this.#links.reachable(), now));
    }
  }

  #awaitPeers(): Effect[] {
    return this.#hasSynced ? [] : [{ kind: "wake", afterMs: this.#config.aloneAfterMs, timer: { kind: "alone" } }];
  }

  #evictGone(now: Now): Effect[] {
    const up = this.#membership.members().filter(({ state }) => state === "alive" || state === "suspect");
    const nodes = up.map(({ nodeId }) => nodeId);
    return this.#replicate(this.#replica.evictGone(nodes, this.#membership.self().nodeId, now));
  }

  #onFrame(stream: StreamId, bytes: Uint8Array, now: Now): Effect[] {
    let frame;
    try {
      frame = decodeFrame(bytes, this.#config.gossip);
    } catch (thrown) {
      if (!(thrown instanceof MalformedError)) throw thrown;
      return [...this.#links.close(stream, thrown.message), refused(stream, thrown.message)];
    }
    if (frame.kind === "hello") {
      const { effects, node, refused: reason } = this.#links.onHello(stream, frame);
      if (reason !== undefined) return [...effects, refused(stream, reason)];
      if (node === undefined) return effects;
      return [...effects, ...this.#heard(node, now), ...this.#replicate(this.#replica.compareWith(node, now))];
    }
    const from = this.#links.nodeOf(stream);
    if (from === undefined) {
      const reason = `a ${frame.kind} frame before any greeting`;
      return [...this.#links.close(stream, reason), refused(stream, reason)];
    }
    return [...this.#heard(from, now), ...this.#replicate(this.#replica.onFrame(from, frame, now))];
  }

  #onClosed(stream: StreamId): Effect[] {
    const { effects, node } = this.#links.onClosed(stream);
    if (node !== undefined && !this.#links.reachable().includes(node)) this.#replica.forgetPeer(node);
    return effects;
  }

  /** A frame from a member is evidence of its life, as good as an ack. */
  #heard(node: NodeId, now: Now): Effect[] {
    return this.#members(this.#membership.handle({ kind: "heard", node }, now));
  }

  #members(effects: readonly MembershipEffect[]): Effect[] {
    return effects.flatMap((effect): Effect[] => {
      switch (effect.kind) {
        case "datagram":
          return [effect];
        case "wake":
          return [{ kind: "wake", afterMs: effect.afterMs, timer: { kind: "membership", timer: effect.timer } }];
        case "refused":
          return [refused(effect.from, effect.reason)];
        case "member": {
          const { member, previous } = effect;
          const isUp = member.state === "alive" || member.state === "suspect";
          const streams = isUp ? this.#links.want(member.nodeId, member.address) : this.#links.unwant(member.nodeId);
          return [...streams, { kind: "event", event: { kind: "member", member, previous } }];
        }
        default:
          return unreachable(effect);
      }
    });
  }

  #replicate(effects: readonly ReplicaEffect[]): Effect[] {
    return effects.flatMap((effect): Effect[] => {
      if (effect.kind === "event" && effect.event.kind === "synced") this.#hasSynced = true;
      if (effect.kind !== "frame" && effect.kind !== "broadcast") return [effect];
      const bytes = encodeFrame(effect.frame);
      if (effect.kind === "frame") return this.#links.send(effect.to, bytes);
      return this.#links.reachable().flatMap((node) => this.#broadcastTo(node, bytes));
    });
  }

  /** A peer whose queue is full gets no more broadcasts: it is compared with once it has caught up. */
  #broadcastTo(node: NodeId, bytes: Uint8Array): Effect[] {
    if (!this.#links.isLagging(node)) return this.#links.send(node, bytes);
    return [{ kind: "event", event: { kind: "peer-lagging", peer: node } }];
  }
}

function refused(from: string, reason: string): Effect {
  return { kind: "event", event: { kind: "refused", from, reason } };
}
