/**
 * Whose row it is: hand-overs as they are asked for, and what is found where two wrote and one may.
 *
 * An owned row has one owner an epoch. Another owner is another epoch, so a state that names a new owner beats whatever
 * the old one still writes, and it carries the *cut*: the state it replaced, as its writer saw it.
 */
import type { OriginId } from "./ids.js";
import type { Stamp } from "./stamp.js";
import type { SqlValue } from "./value.js";

/** The stamp of the state that a new epoch replaced; its epoch is the one before. What is later was not seen. */
export type Cut = Omit<Stamp, "epoch">;

export interface Handoff {
  readonly table: string;
  /** In key order, or by column. */
  readonly key: readonly SqlValue[] | Readonly<Record<string, SqlValue>>;
  /** The worker that gets the row, which only its owner can say. Undefined: the writing member's own worker takes it. */
  readonly to: string | undefined;
}

/** A write that lost to another owner's without having been seen by them. */
export interface FencedWrite {
  readonly kind: "fenced";
  readonly table: string;
  readonly key: readonly SqlValue[];
  /** Who wrote it, and its version. */
  readonly origin: OriginId;
  readonly version: number;
  /** Whose row it is now; undefined when it is nobody's, or gone. */
  readonly owner: string | undefined;
  readonly epoch: number;
  /** This member wrote it: its worker believes that it owns what it does not. */
  readonly isOurs: boolean;
}

/** Two owners of one epoch. The greater stamp has the row. */
export interface DoubtfulRow {
  readonly kind: "doubtful";
  readonly table: string;
  readonly key: readonly SqlValue[];
  readonly epoch: number;
  readonly owner: string | undefined;
  /** Who else claims it. */
  readonly other: string | undefined;
}

export type OwnershipConflict = FencedWrite | DoubtfulRow;

/** Of an owned row that was there once: whose it is now, and since which epoch. */
export interface Ownership {
  readonly owner: string | undefined;
  readonly epoch: number;
}
