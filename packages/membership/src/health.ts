/**
 * How far this node trusts its own judgement of others. A node that is slow, overloaded or cut off finds everybody
 * silent; it should conclude that the fault is its own. Lifeguard (Dadgar, Phillips, Currey, 2017), section IV.A, and
 * beyond it the isolation guard: when too many different probes fail, accusations all but stop.
 */
import { assert } from "@patina/base";
import type { MembershipConfig } from "./config.js";

export class LocalHealth {
  readonly #config: MembershipConfig;
  #score = 0;
  #outcomes: boolean[] = []; // The last `isolationWindow` probes: true is an answer.
  #accusedMs = Number.NEGATIVE_INFINITY;

  constructor(config: MembershipConfig) {
    this.#config = config;
  }

  /** 0 is well; the probe interval is multiplied by 1 + this. */
  get score(): number {
    return this.isIsolated ? this.#config.localHealthMax : this.#score;
  }

  get isIsolated(): boolean {
    const failures = this.#outcomes.filter((answered) => !answered).length;
    return failures > this.#config.isolationWindow * this.#config.isolationFraction;
  }

  probeAnswered(): void {
    this.#record(true);
    this.#worsenBy(-1);
  }

  /** `silentHelpers`: those who sent neither the answer nor a nack, which speaks against us. */
  probeFailed(silentHelpers: number): void {
    assert(silentHelpers >= 0, "helpers are counted");
    this.#record(false);
    this.#worsenBy(silentHelpers);
  }

  /** We stalled, or had to refute. */
  worsen(): void {
    this.#worsenBy(1);
  }

  /** Whether a silent member may be accused now; a yes counts as an accusation. */
  mayAccuse(nowMs: number): boolean {
    if (this.isIsolated && nowMs - this.#accusedMs < this.#config.isolatedAccusationMs) return false;
    this.#accusedMs = nowMs;
    return true;
  }

  #record(answered: boolean): void {
    this.#outcomes.push(answered);
    if (this.#outcomes.length > this.#config.isolationWindow) this.#outcomes.shift();
  }

  #worsenBy(points: number): void {
    this.#score = Math.max(0, Math.min(this.#config.localHealthMax, this.#score + points));
  }
}
