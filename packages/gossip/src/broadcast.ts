/**
 * Broadcast: own changes, straight to every member (clusters of up to 64). The first goes out at once; what follows
 * within a few milliseconds goes out together. It is a latency optimisation: what a peer misses, anti-entropy brings.
 *
 *   quiet ──offer: send──► open ──offer: gather──► open ──wake: send what was gathered──► open … ──wake: nothing──► quiet
 */
import { type Change, changeBytes } from "@patina/base";
import type { GossipConfig } from "./config.js";

export interface BroadcastStep {
  /** Send these to every peer now, one frame each. */
  readonly batches: readonly (readonly Change[])[];
  /** Come back with `onWake` after so long. */
  readonly wakeAfterMs: number | undefined;
}

export class Broadcast {
  readonly #config: GossipConfig;
  #gathered: Change[] = [];
  #gatheredBytes = 0;
  #isOpen = false;

  constructor(config: GossipConfig) {
    this.#config = config;
  }

  offer(changes: readonly Change[]): BroadcastStep {
    if (changes.length === 0) return { batches: [], wakeAfterMs: undefined };
    this.#gathered.push(...changes);
    for (const change of changes) this.#gatheredBytes += changeBytes(change);
    if (!this.#isOpen) {
      this.#isOpen = true;
      return { batches: this.#take(), wakeAfterMs: this.#config.coalesceMs };
    }
    const isFull = this.#gatheredBytes >= this.#config.coalesceBytesMax;
    return { batches: isFull ? this.#take() : [], wakeAfterMs: undefined };
  }

  onWake(): BroadcastStep {
    if (this.#gathered.length === 0) {
      this.#isOpen = false;
      return { batches: [], wakeAfterMs: undefined };
    }
    return { batches: this.#take(), wakeAfterMs: this.#config.coalesceMs };
  }

  #take(): Change[][] {
    const batches = packChanges(this.#gathered, this.#config.frameBytesMax);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return batches;
  }
}

/** Changes in frames of at most about `bytesMax`, at least one each. */
export function packChanges(changes: readonly Change[], bytesMax: number): Change[][] {
  const frames: Change[][] = [];
  let bytes = Infinity;
  for (const change of changes) {
    const size = changeBytes(change);
    if (bytes + size > bytesMax) {
      frames.push([]);
      bytes = 0;
    }
    frames.at(-1)?.push(change);
    bytes += size;
  }
  return frames;
}
