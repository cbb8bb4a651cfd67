/**
 * From what a replica wants told to frames on streams: to whom directly, by whom passed on, in which lane; and the streams
 * that this takes, which follow the members as they come and go.
 */
import { type Change, changeBytes, type Heads, type NodeId, type Rng } from "@patina/base";
import { encodeFrame, type Frame, type Interval, Topology } from "@patina/gossip";
import type { Member } from "@patina/membership";
import type { AgentConfig } from "./config.js";
import type { Lane } from "./lanes.js";
import type { Links } from "./links.js";
import type { Effect } from "./protocol.js";

/** Frames that answer a want: they stay in order among themselves. */
const REPAIRS = new Set<Frame["kind"]>(["repairing", "changes", "empty", "repaired", "snapshot"]);

export class Delivery {
  readonly #config: AgentConfig;
  readonly #links: Links;
  readonly #topology: Topology;
  readonly #rng: Rng;
  /** Members it keeps a stream to. */
  #linked: ReadonlySet<NodeId> = new Set();

  constructor(self: NodeId, links: Links, config: AgentConfig, rng: Rng) {
    this.#config = config;
    this.#links = links;
    this.#topology = new Topology(self, config.gossip);
    this.#rng = rng;
  }

  /** It keeps a stream to this member, or tries to. */
  isLinked(node: NodeId): boolean {
    return this.#linked.has(node);
  }

  /** Changes go by way of relays. */
  get isRelayed(): boolean {
    return this.#topology.isLarge;
  }

  /** Streams to those that are needed for everybody to be reached, and no others. */
  relink(up: ReadonlyMap<NodeId, Member>, isFit: (node: NodeId) => boolean): Effect[] {
    this.#topology.update([...up.keys()], isFit);
    const before = this.#linked;
    this.#linked = new Set(this.#topology.links());
    const effects: Effect[] = [];
    for (const node of this.#linked) {
      const address = up.get(node)?.address;
      if (address !== undefined) effects.push(...this.#links.want(node, address));
    }
    for (const node of before) {
      if (!this.#linked.has(node) && up.has(node)) effects.push(...this.#links.release(node));
    }
    return effects;
  }

  frame(to: NodeId, frame: Frame): Effect[] {
    return this.#links.send(to, REPAIRS.has(frame.kind) ? "repair" : "control", encodeFrame(frame));
  }

  broadcast(changes: readonly Change[], isUrgent: boolean): Effect[] {
    const lane: Lane = isUrgent ? "urgent" : "own";
    const { direct, relays } = this.#topology.routes((node) => this.#links.isReachable(node));
    const bytes = encodeFrame({ kind: "changes", changes });
    const effects = direct.flatMap((node) => this.#push(node, lane, bytes, changes));
    const isLarge =
      changes.reduce((sum, change) => sum + changeBytes(change), 0) > this.#config.gossip.relayTwiceBytesMax;
    for (const { to, interval, isSecond } of relays) {
      if (isSecond && isLarge) effects.push(...this.#links.sendHeads(to, encodeHeads(changes)));
      else effects.push(...this.#push(to, lane, encodeFrame({ kind: "relay", interval, changes }), changes));
    }
    return effects;
  }

  passOn(changes: readonly Change[], interval: Interval): Effect[] {
    const bytes = encodeFrame({ kind: "changes", changes });
    const nodes = this.#topology.within(interval, (node) => this.#links.isReachable(node));
    return nodes.flatMap((node) => this.#push(node, "relayed", bytes, changes));
  }

  tellHeads(heads: Heads): Effect[] {
    const bytes = encodeFrame({ kind: "heads", heads });
    const told = this.#rng.shuffle(this.#links.reachable()).slice(0, this.#config.gossip.headsFanout);
    return told.flatMap((node) => this.#links.send(node, "control", bytes));
  }

  /** A peer that lags is told only how far it is behind. */
  #push(node: NodeId, lane: Lane, bytes: Uint8Array, changes: readonly Change[]): Effect[] {
    if (this.#links.isLagging(node)) return this.#links.sendHeads(node, encodeHeads(changes));
    return this.#links.send(node, lane, bytes);
  }
}

function encodeHeads(changes: readonly Change[]): Uint8Array {
  const heads = new Map<string, number>();
  for (const { origin, version } of changes) heads.set(origin, Math.max(version, heads.get(origin) ?? 0));
  return encodeFrame({ kind: "heads", heads });
}
