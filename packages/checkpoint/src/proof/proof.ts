/**
 * The record of a drill: somebody restored a checkpoint whole and found in it what its manifest says. It makes the base verified,
 * and its seconds are what a restore takes.
 */
import { messageOf } from "@patina/base";
import { z } from "zod";
import { canonicalBytes } from "../manifest/canonical-json.js";
import { damaged, damageError, missing } from "../manifest/damage.js";
import { checkpointOfKey, proofKey, proofPrefix } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";

const count = z.number().int().nonnegative();

const proofSchema = z.object({
  fmt: z.literal(1),
  cluster: z.string(),
  /** What was verified by it. */
  base: z.string(),
  /** What was restored: the base, or a delta with all that it stands on. */
  checkpoint: z.string(),
  /** By the store's clock. */
  atMs: count,
  /** The node that did it. */
  by: z.string(),
  /** From the first request to a checked database. */
  tookMs: count,
  /** Of content fetched, uncompressed. */
  bytes: count,
  /** Null for a delta, which does not count them. */
  rows: count.nullable(),
  /** Rows whose version the live copy has, too, and which were compared with it. */
  sampled: count,
});

export type Proof = z.infer<typeof proofSchema>;

export async function recordProof(objects: ObjectStore, proof: Proof): Promise<void> {
  const { cluster, base, atMs, by } = proof;
  await objects.putIfAbsent(proofKey(cluster, base, { atMs, node: by }), canonicalBytes(proof));
}

/** The newest proof of each base that has one. Throws `checkpoint-forged` in a sealed store, and `checkpoint-damaged`. */
export async function readProofs(objects: ObjectStore, cluster: string): Promise<Map<string, Proof>> {
  const newest = new Map<string, string>();
  for (const { key } of await objects.list(proofPrefix(cluster))) {
    const base = checkpointOfKey(key);
    if (base !== undefined) newest.set(base, key);
  }
  const proofs = new Map<string, Proof>();
  for (const [base, key] of newest) proofs.set(base, parse(key, base, await objects.get(key)));
  return proofs;
}

function parse(key: string, base: string, bytes: Uint8Array | undefined): Proof {
  if (bytes === undefined) throw damageError(missing(key, "the record of a drill"));
  try {
    return proofSchema.extend({ base: z.literal(base) }).parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw damageError(damaged(key, "the record of a drill", messageOf(error)));
  }
}
