/**
 * In a large cluster nobody has a stream to everybody, and still, what all hold is known only from what each of them says. So
 * a member visits those it has no stream to, one after the other: it opens one, both compare, and when the next visit is
 * due it is closed. Members begin at different places, so that no host has all of them at once.
 */
import { must, type NodeId, type Now } from "@patina/base";
import type { Member } from "@patina/membership";
import type { AgentConfig } from "./config.js";
import type { Links } from "./links.js";
import type { Effect } from "./protocol.js";

export class Visits {
  readonly #links: Links;
  readonly #config: AgentConfig;
  /** Whom it visits, or visited last; itself at first. */
  #last: NodeId;
  #begunMs = -Infinity;
  #isUnderWay = false;

  constructor(self: NodeId, links: Links, config: AgentConfig) {
    this.#links = links;
    this.#config = config;
    this.#last = self;
  }

  /** Goes on to the next, if it is time. `isLinked`: it keeps a stream to this member anyway. */
  next(up: ReadonlyMap<NodeId, Member>, isLinked: (node: NodeId) => boolean, { monotonicMs }: Now): Effect[] {
    if (monotonicMs - this.#begunMs < this.#config.visitEveryMs) return [];
    const ended = this.end(isLinked);
    const hosts = [...up.keys()].filter((node) => !isLinked(node) && !this.#links.isReachable(node)).sort();
    const host = hosts.find((node) => node > this.#last) ?? hosts[0];
    if (host === undefined) return ended;
    [this.#last, this.#begunMs, this.#isUnderWay] = [host, monotonicMs, true];
    return [...ended, ...this.#links.want(host, must(up.get(host), "a host").address)];
  }

  /** The stream of a visit is not kept. */
  end(isLinked: (node: NodeId) => boolean): Effect[] {
    if (!this.#isUnderWay) return [];
    this.#isUnderWay = false;
    return isLinked(this.#last) ? [] : this.#links.release(this.#last);
  }
}
