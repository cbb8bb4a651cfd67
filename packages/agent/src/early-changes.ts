/**
 * Changes stamped ahead of this node's clock. They wait until they are due, so that one fast clock does not drag all the
 * others with it; over one that is far ahead, the alarm is raised.
 */
import { type Change, type Hlc, hlcFromMs, hlcToMs, type Now, type OriginId } from "@patina/base";
import type { AgentConfig } from "./config.js";
import { event, type ReplicaEffect } from "./replica-effect.js";

/** Early changes are looked at again at least this often: the wall clock may be set meanwhile. */
const DUE_CHECK_MS = 5000;

export class EarlyChanges {
  readonly #config: AgentConfig["gossip"];
  #isDueScheduled = false;
  /** Origins that wait for the clock. Asking for more of them would only bring what cannot be kept. */
  #waiting: ReadonlySet<OriginId> = new Set();
  /** Origins whose clocks the alarm was raised over. */
  #alarmed: ReadonlySet<OriginId> = new Set();

  constructor(config: AgentConfig) {
    this.#config = config.gossip;
  }

  has(origin: OriginId): boolean {
    return this.#waiting.has(origin);
  }

  /** They are being looked at again. */
  onDue(): void {
    this.#isDueScheduled = false;
  }

  /**
   * The latest stamp to be taken in now. What was taken in before counts as much as the wall clock: a cluster whose wall
   * clocks were all set back goes on from where it was.
   */
  latestAccepted({ wallMs }: Now, highWater: Hlc): Hlc {
    const wall = hlcFromMs(wallMs);
    return (wall > highWater ? wall : highWater) + hlcFromMs(this.#config.aheadMaxMs);
  }

  /** Of each origin that waits, its next change: comes back when the first of them is due. */
  await(early: readonly Change[], now: Now): ReplicaEffect[] {
    this.#waiting = new Set(early.map(({ origin }) => origin));
    const { aheadMaxMs, aheadAlarmMs } = this.#config;
    const effects: ReplicaEffect[] = [];
    let soonestMs = DUE_CHECK_MS;
    for (const { origin, hlc } of early) {
      const aheadMs = hlcToMs(hlc) - now.wallMs;
      soonestMs = Math.min(soonestMs, Math.max(1, aheadMs - aheadMaxMs));
      if (aheadMs > aheadAlarmMs && !this.#alarmed.has(origin)) {
        effects.push(event({ kind: "clock-ahead", origin, aheadMs }));
      }
    }
    const far = early.filter(({ hlc }) => hlcToMs(hlc) - now.wallMs > aheadAlarmMs);
    this.#alarmed = new Set(far.map(({ origin }) => origin));
    if (early.length === 0 || this.#isDueScheduled) return effects;
    this.#isDueScheduled = true;
    return [...effects, { kind: "wake", afterMs: soonestMs, timer: { kind: "due" } }];
  }
}
