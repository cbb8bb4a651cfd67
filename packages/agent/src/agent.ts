/**
 * One member of one cluster, but for its membership: links to the others and a replica behind one step function.
 *
 *   members ─► links ─► streams
 *   frames ──► links (who is it?) ─► replica ─► store
 *   writes ────────────────────────► replica ─► store
 *
 * Membership runs beside it, in a thread of its own where there are threads: a node whose database is busy is slow, and
 * must not look dead. The same class runs in production and in simulation: `handle(input, now) → effects`, nothing ambient.
 */
import { type ClusterId, MalformedError, type NodeId, type Now, type Rng, unreachable } from "@patina/base";
import { decodeFrame } from "@patina/gossip";
import type { Member } from "@patina/membership";
import type { HeardOf } from "./collection.js";
import type { AgentConfig } from "./config.js";
import { Delivery } from "./delivery.js";
import { Links } from "./links.js";
import type { StorePort } from "./ports.js";
import type { Effect, Input, MemberInput, StreamFault, StreamId } from "./protocol.js";
import { Replica } from "./replica.js";
import type { ReplicaEffect } from "./replica-effect.js";
import { Visits } from "./visits.js";

export interface AgentOptions {
  readonly cluster: ClusterId;
  readonly node: NodeId;
  /** There are addresses to join through: until one of them was compared with, what is held may be out of date. */
  readonly hasSeeds: boolean;
  readonly store: StorePort;
  readonly config: AgentConfig;
  readonly rng: Rng;
}

export class Agent {
  readonly #node: NodeId;
  readonly #config: AgentConfig;
  readonly #members = new Map<NodeId, Member>();
  readonly #unfit = new Set<NodeId>();
  /** When a frame of a member last came, and membership was told that it lives. */
  readonly #heardMs = new Map<NodeId, number>();
  readonly #links: Links;
  readonly #delivery: Delivery;
  readonly #visits: Visits;
  readonly #replica: Replica;
  #isRelinkDue = false;
  #hasSynced: boolean;

  constructor({ cluster, node, hasSeeds, store, config, rng }: AgentOptions) {
    this.#node = node;
    this.#config = config;
    this.#links = new Links(node, cluster, config);
    this.#delivery = new Delivery(node, this.#links, config, rng.fork());
    this.#visits = new Visits(node, this.#links, config);
    this.#replica = new Replica(store, config, rng);
    this.#hasSynced = !hasSeeds;
  }

  /** Every other member ever heard of and not forgotten yet, by node id. */
  members(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
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

  /** How often since the start it was found what all enlisted members hold. While one of them says nothing, it is not. */
  get stableRounds(): number {
    return this.#replica.stableRounds;
  }

  handle(input: Input, now: Now): Effect[] {
    switch (input.kind) {
      case "start":
        return [...this.#replicate(this.#replica.start(now)), ...this.#awaitPeers()];
      case "member":
      case "forgotten":
      case "fitness":
        return this.#onMember(input);
      case "stream-opened":
        return this.#links.onOpened(input.stream, input.direction, input.node);
      case "stream-frame":
        return this.#onFrame(input.stream, input.bytes, now);
      case "stream-flushed": {
        const { effects, caughtUp } = this.#links.onFlushed(input.stream, input.bytes);
        if (caughtUp === undefined) return effects;
        return [...effects, ...this.#replicate(this.#replica.compareWith(caughtUp, now))];
      }
      case "stream-closed":
        return this.#onClosed(input.stream, input.isRefused);
      case "refused":
        return [refused(input.from, { reason: `${input.transport}: ${input.reason}, ${input.times}×` })];
      case "write":
        return this.#replicate(this.#replica.write(input.writes, now));
      case "wake":
        return this.#onWake(input.timer, now);
      default:
        return unreachable(input);
    }
  }

  get #isAnyUp(): boolean {
    return [...this.#members.values()].some(isUp);
  }

  #onMember(input: MemberInput): Effect[] {
    switch (input.kind) {
      case "member": {
        const { member, previous } = input;
        this.#members.set(member.nodeId, member);
        const closed = isUp(member) ? [] : this.#links.unwant(member.nodeId);
        const isHealed = previous === "dead" && isUp(member);
        return [
          ...closed,
          ...(isHealed ? this.#links.redialAll() : []),
          ...this.#relinkSoon(),
          { kind: "event", event: { kind: "member", member, previous } },
        ];
      }
      case "forgotten":
        this.#members.delete(input.node);
        this.#unfit.delete(input.node);
        return [];
      case "fitness":
        if (input.isFit) this.#unfit.delete(input.node);
        else this.#unfit.add(input.node);
        return [...this.#relinkSoon(), { kind: "event", event: input }];
      default:
        return unreachable(input);
    }
  }

  #onWake(timer: Extract<Input, { kind: "wake" }>["timer"], now: Now): Effect[] {
    switch (timer.kind) {
      case "alone":
        // With members up and no stream to any of them, somebody has what this one may lack.
        if (this.#links.reachable().length === 0 && !this.#isAnyUp) this.#hasSynced = true;
        return this.#awaitPeers();
      case "greeting":
        return this.#links.onGreetingDue(timer.stream);
      case "links":
        return this.#relink();
      case "redial":
        return this.#links.redial(timer.node);
      case "sync":
        return [
          ...this.#visit(now),
          ...this.#evictGone(now),
          ...this.#replicate(this.#replica.onWake(timer, this.#servers(), now)),
        ];
      default:
        return this.#replicate(this.#replica.onWake(timer, [], now));
    }
  }

  /** In a large cluster many members come at once, and links change with any of them. */
  #relinkSoon(): Effect[] {
    if (this.#members.size <= this.#config.gossip.directMembersMax) return this.#relink();
    if (this.#isRelinkDue) return [];
    this.#isRelinkDue = true;
    return [{ kind: "wake", afterMs: this.#config.relinkAfterMs, timer: { kind: "links" } }];
  }

  #relink(): Effect[] {
    this.#isRelinkDue = false;
    const effects = this.#delivery.relink(this.#up(), (node) => !this.#unfit.has(node));
    this.#replica.tellsHeads = this.#delivery.isRelayed;
    return effects;
  }

  /** Nobody who lacks much, and would ask for it: a visit is short. */
  #visit(now: Now): Effect[] {
    const isLinked = (node: NodeId): boolean => this.#delivery.isLinked(node);
    if (!this.#delivery.isRelayed || !this.#hasSynced) return this.#visits.end(isLinked);
    return this.#visits.next(this.#up(), isLinked, now);
  }

  #up(): Map<NodeId, Member> {
    return new Map([...this.#members].filter(([, member]) => isUp(member)));
  }

  /** Whom to compare with: those that are fit, unless nobody is. */
  #servers(): NodeId[] {
    const reachable = this.#links.reachable();
    const fit = reachable.filter((node) => !this.#unfit.has(node));
    return fit.length > 0 ? fit : reachable;
  }

  #awaitPeers(): Effect[] {
    return this.#hasSynced ? [] : [{ kind: "wake", afterMs: this.#config.aloneAfterMs, timer: { kind: "alone" } }];
  }

  #evictGone(now: Now): Effect[] {
    return this.#replicate(this.#replica.evictGone(this.#heardOf(now), this.#node, now));
  }

  /** Of a member to whom it keeps no stream, what membership says has to do: it is up. */
  #heardOf({ monotonicMs }: Now): HeardOf {
    const up = [...this.#members.values()].filter(isUp).map(({ nodeId }) => nodeId);
    return new Map(up.map((node) => [node, this.#delivery.isLinked(node) ? this.#lastHeardMs(node) : monotonicMs]));
  }

  #lastHeardMs(node: NodeId): number {
    return this.#heardMs.get(node) ?? -Infinity;
  }

  #onFrame(stream: StreamId, bytes: Uint8Array, now: Now): Effect[] {
    let frame;
    try {
      frame = decodeFrame(bytes, this.#config.gossip);
    } catch (thrown) {
      if (!(thrown instanceof MalformedError)) throw thrown;
      const reason = thrown.message;
      return [...this.#links.close(stream, reason), refused(stream, { code: "malformed-frame", reason })];
    }
    if (frame.kind === "hello") {
      const { effects, node, refused: why } = this.#links.onHello(stream, frame);
      if (why !== undefined) return [...effects, refused(stream, why)];
      if (node === undefined) return effects;
      return [...effects, ...this.#heard(node, now), ...this.#replicate(this.#replica.compareWith(node, now))];
    }
    const from = this.#links.nodeOf(stream);
    if (from === undefined) {
      const reason = `a ${frame.kind} frame before any greeting`;
      return [...this.#links.close(stream, reason), refused(stream, { code: "no-greeting", reason })];
    }
    return [...this.#heard(from, now), ...this.#replicate(this.#replica.onFrame(from, frame, now))];
  }

  #onClosed(stream: StreamId, isRefused?: boolean): Effect[] {
    const { effects, node } = this.#links.onClosed(stream, isRefused);
    if (node === undefined || this.#links.reachable().includes(node)) return effects;
    this.#heardMs.delete(node);
    this.#replica.forgetPeer(node);
    return effects;
  }

  /** A frame from a member is evidence of its life, as good as an ack; but a flood of frames is no more than one. */
  #heard(node: NodeId, now: Now): Effect[] {
    if (now.monotonicMs - this.#lastHeardMs(node) < this.#config.heardEveryMs) return [];
    this.#heardMs.set(node, now.monotonicMs);
    return [{ kind: "heard", node }];
  }

  #replicate(effects: readonly ReplicaEffect[]): Effect[] {
    return effects.flatMap((effect): Effect[] => {
      switch (effect.kind) {
        case "frame":
          return this.#delivery.frame(effect.to, effect.frame);
        case "broadcast":
          return this.#delivery.broadcast(effect.changes, effect.isUrgent);
        case "pass-on":
          return this.#delivery.passOn(effect.changes, effect.interval);
        case "tell-heads":
          return this.#delivery.tellHeads(effect.heads);
        default:
          if (effect.kind === "event" && effect.event.kind === "synced") this.#hasSynced = true;
          return [effect];
      }
    });
  }
}

function isUp({ state }: Member): boolean {
  return state === "alive" || state === "suspect";
}

function refused(from: string, why: { readonly code?: StreamFault; readonly reason: string }): Effect {
  return { kind: "event", event: { kind: "refused", from, ...why } };
}
