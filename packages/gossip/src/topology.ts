/**
 * Who is told directly, and by whom the others are told.
 *
 *   up to 64 members   everybody has a stream to everybody, and tells everybody
 *   more               groups of about √N: a stream to everybody in one's own group, and to a few contacts in each other one.
 *                      A change goes to the own group, and to two contacts of every other with the interval to relay it to
 *
 * Two relays a group: a change is missed by a group only when both fail, and then heads tell of it (`heads.ts`).
 */
import { hash32, type NodeId } from "@patina/base";
import type { GossipConfig } from "./config.js";
import { groupCount, groupOf, type Interval, intervalOf, isWithin } from "./groups.js";

export interface Relay {
  readonly to: NodeId;
  readonly interval: Interval;
  /** The second of a group gets no more than the heads when a change is large. */
  readonly isSecond: boolean;
}

export interface Routes {
  readonly direct: readonly NodeId[];
  readonly relays: readonly Relay[];
}

export class Topology {
  readonly #self: NodeId;
  readonly #config: GossipConfig;
  #isLarge = false;
  #groups = 1;
  #ownGroup: readonly NodeId[] = [];
  /** By foreign group, its contacts, best first. */
  #contacts = new Map<number, readonly NodeId[]>();

  constructor(self: NodeId, config: GossipConfig) {
    this.#self = self;
    this.#config = config;
  }

  get isLarge(): boolean {
    return this.#isLarge;
  }

  /** Takes note of who is up. `fit` are those that work for others may be put on. */
  update(up: readonly NodeId[], isFit: (node: NodeId) => boolean): void {
    const { directMembersMax } = this.#config;
    const size = up.length + 1;
    // It stays large a little below the limit, so that one member to and fro does not open a thousand streams.
    this.#isLarge = size > (this.#isLarge ? directMembersMax * 0.75 : directMembersMax);
    if (!this.#isLarge) {
      this.#groups = 1;
      this.#ownGroup = up;
      this.#contacts = new Map();
      return;
    }
    this.#groups = groupCount(size, this.#groups);
    const own = groupOf(this.#self, this.#groups);
    const byGroup = new Map<number, NodeId[]>();
    for (const node of up) {
      const group = groupOf(node, this.#groups);
      const nodes = byGroup.get(group);
      if (nodes === undefined) byGroup.set(group, [node]);
      else nodes.push(node);
    }
    this.#ownGroup = byGroup.get(own) ?? [];
    byGroup.delete(own);
    this.#contacts = new Map([...byGroup].map(([group, nodes]) => [group, this.#ranked(nodes, isFit)]));
  }

  /** Whom to have a stream to: those who are told directly, and contacts with one to spare. */
  links(): NodeId[] {
    const { contactsMax } = this.#config;
    return [...this.#ownGroup, ...[...this.#contacts.values()].flatMap((nodes) => nodes.slice(0, contactsMax))];
  }

  /** By whom everybody is reached right now. */
  routes(isReachable: (node: NodeId) => boolean): Routes {
    const relays: Relay[] = [];
    for (const [group, nodes] of this.#contacts) {
      const able = nodes.slice(0, this.#config.contactsMax).filter(isReachable).slice(0, this.#config.relaysPerGroup);
      const interval = intervalOf(group, this.#groups);
      able.forEach((to, index) => relays.push({ to, interval, isSecond: index > 0 }));
    }
    return { direct: this.#ownGroup.filter(isReachable), relays };
  }

  /** Whom a relay forwards to. */
  within(interval: Interval, isReachable: (node: NodeId) => boolean): NodeId[] {
    return this.#ownGroup.filter((node) => isWithin(node, interval) && isReachable(node));
  }

  /** Each member ranks the others in an order of its own, so that contacts are spread; those unfit come last. */
  #ranked(nodes: readonly NodeId[], isFit: (node: NodeId) => boolean): NodeId[] {
    const scored = nodes.map((node) => ({ node, isFit: isFit(node), score: hash32(`${this.#self}|${node}`) }));
    scored.sort((a, b) => Number(b.isFit) - Number(a.isFit) || a.score - b.score);
    return scored.map(({ node }) => node);
  }
}
