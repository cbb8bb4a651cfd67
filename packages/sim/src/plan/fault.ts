/** Everything that can go wrong in a simulated cluster, as plain data: a plan can be printed, cut down and run again. */

/** A direction of a path between two nodes, by their indices. */
export type Direction = readonly [from: number, to: number];

/** What does not run for a while: the whole process, or only its main thread while membership's own goes on. */
export type StallScope = "process" | "main";

/** What comes in on a stream of somebody who is no member: none of it may change anything. */
export type StrangerKind = "other-protocol" | "other-generation" | "other-cluster" | "noise" | "no-greeting";

export type Fault =
  /** Power is lost: the process is gone, and so is any part of what was not synced. */
  | { readonly kind: "crash"; readonly node: number }
  /** The process says goodbye and ends. */
  | { readonly kind: "leave"; readonly node: number }
  | { readonly kind: "restart"; readonly node: number }
  /** A copy of the disk is put aside as it is now. */
  | { readonly kind: "copy-disk"; readonly node: number }
  /** The power is lost and the copy is put back: the node has forgotten what it did since. */
  | { readonly kind: "restore-disk"; readonly node: number }
  /** A second machine starts with a copy of this one's disk, under its identity. */
  | { readonly kind: "twin"; readonly node: number }
  | { readonly kind: "end-twin"; readonly node: number }
  | { readonly kind: "fill-disk"; readonly node: number }
  | { readonly kind: "partition"; readonly cut: readonly Direction[] }
  | { readonly kind: "heal" }
  /** Nothing comes in or goes out for so long; then everything does. */
  | { readonly kind: "clog"; readonly node: number; readonly forMs: number }
  | { readonly kind: "reset-streams"; readonly node: number }
  /** The node reads its streams at this rate; 0 lifts the limit. */
  | { readonly kind: "read-slowly"; readonly node: number; readonly bytesPerMs: number }
  | { readonly kind: "stall"; readonly node: number; readonly forMs: number; readonly scope: StallScope }
  | { readonly kind: "step-clock"; readonly node: number; readonly byMs: number }
  | { readonly kind: "freeze-clock"; readonly node: number; readonly forMs: number }
  | { readonly kind: "stranger"; readonly node: number; readonly says: StrangerKind }
  /**
   * The node greets as if it had been upgraded before the others; or does so no more. Nodes of even number are upgraded to the
   * next release, which the others understand, and the rest to one too far ahead.
   */
  | { readonly kind: "speak-other-protocol"; readonly node: number; readonly isOn: boolean }
  /** A member hands out a change that cannot be applied. */
  | { readonly kind: "poison"; readonly node: number }
  | { readonly kind: "change-schema"; readonly node: number };

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}
