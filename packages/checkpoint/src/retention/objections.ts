/** What speaks against believing a store's list: then nothing is deleted until a person has looked. */
import { partsOfId } from "../manifest/keys.js";
import type { RetentionPolicy } from "./policy.js";
import type { HeldCheckpoint, Retention } from "./retention.js";

export interface Doubts {
  readonly held: readonly HeldCheckpoint[];
  /** What the cluster's members know to be there. */
  readonly noted: readonly string[];
}

export function objectionsTo({ asOfMs }: Pick<Retention, "asOfMs">, policy: RetentionPolicy, doubts: Doubts): string[] {
  const { held, noted } = doubts;
  const present = new Set(held.map(({ id }) => id));
  return noted
    .filter((id) => !present.has(id) && isOfItsTime(id, asOfMs, policy))
    .map((id) => `the cluster knows ${id}, and the store does not list it`);
}

/** Noted deltas may have grown old since they were noted; noted bases are the newest, which never go. */
function isOfItsTime(id: string, asOfMs: number, { deltaMs }: RetentionPolicy): boolean {
  const parts = partsOfId(id);
  if (parts === undefined) return false;
  return parts.level === "base" || asOfMs - parts.takenAtMs <= deltaMs[parts.level];
}
