/** The one place that draws real randomness: identities, and the seeds everything else is drawn from. */
import { randomBytes } from "node:crypto";
import type { DbId, NodeId } from "@patina/base";

export function newNodeId(): NodeId {
  return randomBytes(16).toString("hex");
}

export function newDbId(): DbId {
  return randomBytes(8).toString("hex");
}

/** A key of the cluster's, 256 bits. */
export function newKey(): Uint8Array {
  return randomBytes(32);
}

/** Where a sender begins to count: anywhere in the lower half of what a number can count to. */
export function newCounter(): number {
  return randomBytes(4).readUInt32LE() * 2 ** 20 + (randomBytes(4).readUInt32LE() >>> 12);
}

/** For keys and nonces that something else makes. */
export function newBytes(count: number): Uint8Array {
  return randomBytes(count);
}

export function newSeed(): number {
  return randomBytes(4).readUInt32LE();
}
