/**
 * Broadcast: own changes, pushed as soon as they are committed. The first goes out at once; what follows within a few
 * milliseconds goes out together. It is a latency optimisation: what a peer misses, anti-entropy brings.
 *
 *   quiet ──offer: send──► open ──offer: gather──► open ──wake: send what was gathered──► open … ──wake: nothing──► quiet
 */
import { type Change, changeBytes } from "@patina/base";
import type { GossipConfig } from "./config.js";

export interface BroadcastStep {
  /** Push these now, one frame each. */
  readonly batches: readonly (readonly Change[])[];
  /** They delete something. */
  readonly isUrgent: boolean;
  /** Come back with `onWake` after so long. */
  readonly wakeAfterMs: number | undefined;
}

export class Broadcast {
  readonly #config: GossipConfig;
  #gathered: Change[] = [];
  #gatheredBytes = 0;
  #isUrgent = false;
  #isOpen = false;

  constructor(config: GossipConfig) {
    this.#config = config;
  }

  offer(changes: readonly Change[], isUrgent = false): BroadcastStep {
    if (changes.length === 0) return NOTHING;
    this.#gathered.push(...changes);
    this.#isUrgent ||= isUrgent;
    for (const change of changes) this.#gatheredBytes += changeBytes(change);
    if (!this.#isOpen) {
      this.#isOpen = true;
      return this.#take(this.#config.coalesceMs);
    }
    return this.#gatheredBytes >= this.#config.coalesceBytesMax ? this.#take(undefined) : NOTHING;
  }

  onWake(): BroadcastStep {
    if (this.#gathered.length > 0) return this.#take(this.#config.coalesceMs);
    this.#isOpen = false;
    return NOTHING;
  }

  #take(wakeAfterMs: number | undefined): BroadcastStep {
    const batches = packChanges(this.#gathered, this.#config.frameBytesMax);
    const isUrgent = this.#isUrgent;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#isUrgent = false;
    return { batches, isUrgent, wakeAfterMs };
  }
}

const NOTHING: BroadcastStep = { batches: [], isUrgent: false, wakeAfterMs: undefined };

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
