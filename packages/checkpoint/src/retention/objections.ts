/** What speaks against believing a store's list: then nothing is deleted until a person has looked. */
import { partsOfId } from "../manifest/keys.js";
import type { RetentionPolicy } from "./policy.js";
import type { HeldCheckpoint, Retention } from "./retention.js";

/** More bases at once is rather a fault of a clock, a policy or a drill than age. */
const BASES_SHARE_MAX = 0.25;

export interface Doubts {
  readonly held: readonly HeldCheckpoint[];
  /** What the cluster's members know to be there. */
  readonly noted: readonly string[];
  /** What an earlier run, or a person, has already marked. */
  readonly condemned: ReadonlySet<string>;
}

export function objectionsTo({ asOfMs, go }: Retention, policy: RetentionPolicy, doubts: Doubts): string[] {
  const { held, noted, condemned } = doubts;
  const bases = held.filter(({ level }) => level === "base");
  const going = go.filter(({ id }) => partsOfId(id)?.level === "base" && !condemned.has(id));
  const present = new Set(held.map(({ id }) => id));
  const objections = noted
    .filter((id) => !present.has(id) && isOfItsTime(id, asOfMs, policy))
    .map((id) => `the cluster knows ${id}, and the store does not list it`);
  if (going.length > bases.length * BASES_SHARE_MAX) {
    objections.push(`${going.length} of ${bases.length} bases would go at once`);
  }
  return objections;
}

/** Noted deltas may have grown old since they were noted; noted bases are the newest, which never go. */
function isOfItsTime(id: string, asOfMs: number, { deltaMs }: RetentionPolicy): boolean {
  const parts = partsOfId(id);
  if (parts === undefined) return false;
  return parts.level === "base" || asOfMs - parts.takenAtMs <= deltaMs[parts.level];
}
