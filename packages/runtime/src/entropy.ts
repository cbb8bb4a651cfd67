/** The one place that draws real randomness: identities, and the seeds everything else is drawn from. */
import { randomBytes } from "node:crypto";
import type { DbId, NodeId } from "@patina/base";

export function newNodeId(): NodeId {
  return randomBytes(16).toString("hex");
}

export function newDbId(): DbId {
  return randomBytes(8).toString("hex");
}

export function newSeed(): number {
  return randomBytes(4).readUInt32LE();
}
