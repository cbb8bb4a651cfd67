/**
 * How anything here is measured. The machine is shared and noisy, so a figure is never one number of one run: those
 * that are compared take turns, round after round, in an order that chance changes, and what is quoted is the median
 * of what each round says. A burst of somebody else's work then hits both sides, or one round only.
 */
import { assert, type Rng } from "@patina/base";

/** One turn of one contender: it does its work and says what it measured. */
export type Turn<Result> = (round: number) => Result | Promise<Result>;

export interface RoundOptions {
  /** Measured rounds. One more goes before them, to warm up, and does not count. */
  readonly rounds: number;
  readonly rng: Rng;
  /** Runs before each round, unmeasured. */
  readonly prepare?: (round: number) => void | Promise<void>;
  /** Runs after each round, unmeasured. */
  readonly settle?: (round: number) => void | Promise<void>;
}

/** Results per contender, one a round, in the order of the rounds: index i of each is from the same round. */
export async function interleave<Name extends string, Result>(
  contenders: Readonly<Record<Name, Turn<Result>>>,
  { rounds, rng, prepare, settle }: RoundOptions,
): Promise<Record<Name, Result[]>> {
  assert(rounds >= 1, "at least one round is measured");
  const entries = Object.entries(contenders) as [Name, Turn<Result>][];
  const results = Object.fromEntries(entries.map(([name]) => [name, [] as Result[]])) as Record<Name, Result[]>;
  for (let round = 0; round <= rounds; round++) {
    await prepare?.(round);
    for (const [name, turn] of rng.shuffle(entries)) {
      const result = await turn(round);
      if (round > 0) results[name].push(result);
    }
    await settle?.(round);
  }
  return results;
}

export function median(values: readonly number[]): number {
  assert(values.length > 0, "a median of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The value below which the share `p` of all lies, by nearest rank: always one that was measured. */
export function percentile(values: readonly number[], p: number): number {
  assert(values.length > 0 && p >= 0 && p <= 1, "a percentile needs values and a share from 0 to 1");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

/** The median over the rounds of `ours / theirs`, each round against itself. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  assert(ours.length === theirs.length, "rounds are compared one by one");
  return median(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}

/** Units of work per second, of work that runs to its end without waiting. */
export function perSecond(units: number, work: () => void): number {
  const startMs = performance.now();
  work();
  return (units * 1000) / (performance.now() - startMs);
}

export async function secondsOf(work: () => unknown): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}
