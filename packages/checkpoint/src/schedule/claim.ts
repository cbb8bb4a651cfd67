/**
 * A claim on the work of a period: a create-only object, so that members who cannot see each other do not both take a base.
 * It only saves work. A claim whose owner died is outdated by the store's own clock, and the next attempt is a new object;
 * two takers at once do no harm.
 */
import { canonicalBytes } from "../manifest/canonical-json.js";
import { claimKey, type Work } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";

export interface Claim {
  readonly work: Work;
  readonly period: number;
  readonly generation: number;
  /** The node. */
  readonly by: string;
  /** A claim of another that is older counts no more. */
  readonly ttlMs: number;
}

/** Owners that may die one after the other in one period. Then it is left to the next period. */
const ATTEMPTS_MAX = 20;

/** Whether this node is to do the work. */
export async function claimPeriod(objects: ObjectStore, cluster: string, claim: Claim): Promise<boolean> {
  const bytes = canonicalBytes({ fmt: 1, by: claim.by });
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const key = claimKey(cluster, claim, attempt);
    if ((await objects.putIfAbsent(key, bytes)) === "created") return true;
    const found = await objects.head(key);
    if (found === undefined) return false; // It was collected while we looked: the period is long over.
    if ((await objects.now()) - found.modifiedAtMs <= claim.ttlMs) return false;
  }
  return false;
}
