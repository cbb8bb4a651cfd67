/**
 * Fast non-cryptographic hashing, for placing and comparing; nothing here resists an adversary.
 * Content that must be proven equal uses SHA-256, in the store.
 */

/** FNV-1a over UTF-16 units with the murmur3 finaliser, so that near-equal keys spread over all 32 bits. */
export function hash32(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}

/**
 * Rendezvous order: every caller with the same candidates and key gets the same order, and losing one candidate moves
 * nothing else. Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
 */
export function rendezvous<T extends string>(key: string, candidates: Iterable<T>): T[] {
  const scored = [...candidates].map((candidate) => ({ candidate, score: hash32(`${key}|${candidate}`) }));
  scored.sort((a, b) => b.score - a.score || (a.candidate < b.candidate ? -1 : 1));
  return scored.map(({ candidate }) => candidate);
}
