/**
 * The virtual network between two nodes: how long a packet takes, whether it arrives, once or twice. A node is an index;
 * each direction of each path can be cut by itself.
 */
import { hash32, type Rng } from "@patina/base";
import type { Direction } from "../plan/fault.js";
import type { NetworkConditions } from "../plan/plan.js";

export class Paths {
  readonly #rng: Rng;
  readonly #salt: number;
  readonly #cloggedUntilMs = new Map<number, number>();
  #conditions: NetworkConditions;
  #cut: ReadonlySet<string> = new Set();

  constructor(rng: Rng, conditions: NetworkConditions) {
    this.#rng = rng;
    this.#salt = rng.u32();
    this.#conditions = conditions;
  }

  set conditions(conditions: NetworkConditions) {
    this.#conditions = conditions;
  }

  /** Cuts these directions; all others are open. */
  partition(cut: readonly Direction[]): void {
    this.#cut = new Set(cut.map(([from, to]) => `${from}>${to}`));
  }

  /** Nothing leaves the node or reaches it before then. */
  clog(node: number, untilMs: number): void {
    this.#cloggedUntilMs.set(node, untilMs);
  }

  canReach(from: number, to: number): boolean {
    return this.#cut.size === 0 || !this.#cut.has(`${from}>${to}`);
  }

  /** Both ways: without it no stream lives for long. */
  areJoined(a: number, b: number): boolean {
    return this.canReach(a, b) && this.canReach(b, a);
  }

  /** When copies of a datagram arrive: none when it is lost, two when it is duplicated. */
  datagramArrivals(from: number, to: number, nowMs: number): number[] {
    const { lossProbability, duplicateProbability } = this.#conditions;
    if (!this.canReach(from, to) || this.#rng.chance(lossProbability)) return [];
    const arrivals = [this.#datagramArrival(from, to, nowMs)];
    if (this.#rng.chance(duplicateProbability)) arrivals.push(this.#datagramArrival(from, to, nowMs));
    return arrivals;
  }

  /** When something that waits for its way rather than getting lost arrives. */
  arrival(from: number, to: number, nowMs: number): number {
    const leavesMs = Math.max(nowMs, this.#cloggedUntilMs.get(from) ?? 0, this.#cloggedUntilMs.get(to) ?? 0);
    return leavesMs + this.#delayMs(from, to);
  }

  #datagramArrival(from: number, to: number, nowMs: number): number {
    const { detourProbability, detourMaxMs } = this.#conditions;
    const detourMs = this.#rng.chance(detourProbability) ? this.#rng.between(0, detourMaxMs) : 0;
    return this.arrival(from, to, nowMs) + detourMs;
  }

  #delayMs(from: number, to: number): number {
    const { delayMinMs, delayMaxMs, isAsymmetric } = this.#conditions;
    const drawn = this.#rng.float();
    const share = isAsymmetric ? (hash32(`${from}>${to}`, this.#salt) % 1000) / 1000 + drawn / 100 : drawn;
    return delayMinMs + share * (delayMaxMs - delayMinMs);
  }
}
