/**
 * Anti-entropy: one peer every second or so is compared with, cheaply when equal, and what differs is fetched. Alone it
 * converges the cluster; everything else is about being faster.
 *
 * This file decides whom to compare with and what is on its way. It sends nothing itself.
 */
import { type NodeId, type Now, type OriginId, Ranges, type Rng } from "@patina/base";
import type { GossipConfig } from "./config.js";
import type { OriginRanges } from "./frame.js";

interface Asked {
  readonly peer: NodeId;
  /** Counts requests: a peer answers them in order. */
  readonly request: number;
  readonly versions: Ranges;
  readonly untilMs: number;
}

export class AntiEntropy {
  readonly #config: GossipConfig;
  readonly #rng: Rng;
  readonly #syncedMs = new Map<NodeId, number>();
  readonly #asked = new Map<OriginId, Asked[]>();
  #requests = 0;
  #round: { readonly peer: NodeId; readonly untilMs: number } | undefined;

  constructor(config: GossipConfig, rng: Rng) {
    this.#config = config;
    this.#rng = rng;
  }

  /** How long until the next round should begin. */
  nextRoundAfterMs(): number {
    return this.#rng.between(this.#config.syncIntervalMinMs, this.#config.syncIntervalMaxMs);
  }

  /** Whom to compare with now: half the time anybody, half the time the one not compared with for longest. */
  pickPeer(connected: readonly NodeId[], now: Now): NodeId | undefined {
    if (this.#round !== undefined && this.#round.untilMs > now.monotonicMs) return undefined;
    const longest = connected.toSorted((a, b) => this.#lastSync(a) - this.#lastSync(b));
    const peer = this.#rng.chance(0.5) ? this.#rng.pick(connected) : longest[0];
    if (peer !== undefined) this.#begin(peer, now);
    return peer;
  }

  /** A round with this peer begins because there is reason to: it just connected, or has more to give. */
  begin(peer: NodeId, now: Now): void {
    this.#begin(peer, now);
  }

  /** The peer answered: the round is over and the next one may begin when it is due. */
  onAnswer(peer: NodeId, now: Now): void {
    this.#syncedMs.set(peer, now.monotonicMs);
    if (this.#round?.peer === peer) this.#round = undefined;
  }

  /** Notes what is being asked of a peer, so that it is not asked of another at the same time. */
  noteAsked(peer: NodeId, wants: readonly OriginRanges[], now: Now, timeoutMs: number): void {
    const untilMs = now.monotonicMs + timeoutMs;
    const request = ++this.#requests;
    for (const { origin, versions } of wants) {
      const asked = this.#asked.get(origin) ?? [];
      this.#asked.set(origin, [
        ...asked.filter((it) => it.untilMs > now.monotonicMs),
        { peer, request, versions, untilMs },
      ]);
    }
  }

  /**
   * The peer has said all it will to the first of our requests: what it did not send may be asked again. Later requests are
   * still on their way; taken for answered, each would be made anew for every answer, without end.
   */
  onRepaired(peer: NodeId): void {
    const requests = [...this.#asked.values()].flat().filter((it) => it.peer === peer).map(({ request }) => request); // prettier-ignore
    this.#forgetAsked(peer, Math.min(...requests));
  }

  #forgetAsked(peer: NodeId, upTo: number): void {
    for (const [origin, asked] of this.#asked) {
      const rest = asked.filter((it) => it.peer !== peer || it.request > upTo);
      if (rest.length === 0) this.#asked.delete(origin);
      else this.#asked.set(origin, rest);
    }
  }

  /** What of an origin is on its way. */
  asked(origin: OriginId, now: Now): Ranges {
    let ranges = Ranges.empty;
    for (const { versions, untilMs } of this.#asked.get(origin) ?? []) {
      if (untilMs > now.monotonicMs) ranges = ranges.union(versions);
    }
    return ranges;
  }

  /** The peer is gone: nothing of it is on its way any more. */
  forgetPeer(peer: NodeId): void {
    this.#forgetAsked(peer, Infinity);
    this.#syncedMs.delete(peer);
    if (this.#round?.peer === peer) this.#round = undefined;
  }

  #begin(peer: NodeId, now: Now): void {
    this.#round = { peer, untilMs: now.monotonicMs + this.#config.syncTimeoutMs };
  }

  #lastSync(peer: NodeId): number {
    return this.#syncedMs.get(peer) ?? -Infinity;
  }
}
