/** Noise for decoders: random bytes, and valid bytes broken as networks, disks and forgers break them. */
import type { Rng } from "../rng.js";

type Mutation = (bytes: readonly number[], at: number, rng: Rng) => number[];

/** A varint of nearly 2^53: as a count or a length it asks for more than there is. */
const HUGE = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];

const MUTATIONS: readonly Mutation[] = [
  (bytes, at, rng) => bytes.map((byte, i) => (i === at ? byte ^ (1 << rng.below(8)) : byte)),
  (bytes, at, rng) => bytes.map((byte, i) => (i === at ? rng.below(256) : byte)),
  (bytes, at) => bytes.map((byte, i) => (i === at ? 0 : byte)),
  (bytes, at) => bytes.slice(0, at),
  (bytes, at) => bytes.toSpliced(at, 1),
  (bytes, at, rng) => bytes.toSpliced(at, 0, rng.below(256)),
  (bytes, at) => bytes.toSpliced(at, 1, ...HUGE),
  (bytes, at, rng) => bytes.toSpliced(at, 0, ...bytes.slice(rng.below(bytes.length), at + 8)),
  (bytes, at, rng) => [...bytes.slice(at), ...bytes.slice(0, rng.below(bytes.length))],
];

/** The bytes, broken in one to four places. */
export function mutateBytes(bytes: Uint8Array, rng: Rng): Uint8Array {
  let broken = [...bytes];
  for (let left = 1 + rng.below(4); left > 0 && broken.length > 0; left--) {
    broken = rng.pick(MUTATIONS)?.(broken, rng.below(broken.length), rng) ?? broken;
  }
  return Uint8Array.from(broken);
}

export function randomBytes(lengthMax: number, rng: Rng): Uint8Array {
  return Uint8Array.from({ length: rng.below(lengthMax + 1) }, () => rng.below(256));
}

/** About how many bytes a decoded value keeps: to hold against the bytes it came from. */
export function weightOf(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length + 8;
  if (typeof value !== "object" || value === null) return 8;
  const parts: unknown[] = Symbol.iterator in value ? [...(value as Iterable<unknown>)] : Object.values(value);
  return parts.reduce<number>((sum, part) => sum + weightOf(part), 8);
}

/** What a decoder may keep of so many bytes: digits of hex, and the objects that small items become. */
export function weightMax(bytes: Uint8Array): number {
  return 64 * bytes.length + 1024;
}
