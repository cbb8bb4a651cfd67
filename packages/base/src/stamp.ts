/**
 * The total order of row states. The greater stamp wins, whatever the values are; (origin, version) is unique, so two
 * different states never tie. Join = max, which makes a table of rows a state-based CRDT.
 */
import type { Hlc } from "./hlc.js";
import type { OriginId } from "./ids.js";

export interface Stamp {
  /** The ownership epoch, or the region's generation on a summary row: it outranks every clock. */
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly origin: OriginId;
  /** The origin's commit counter: 1, 2, 3… One local transaction is one version. */
  readonly version: number;
}

/** Negative when `a` loses to `b`, positive when it wins, 0 only for the same state. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.hlc !== b.hlc) return a.hlc < b.hlc ? -1 : 1;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.version - b.version;
}
