/** The failure detector's figures as a table, smallest crowd first, each line as soon as it is there. */
import { countFalseDeaths, type Ending, measureDetection, measureMassRestart, ROUGH_WEATHER } from "./detection.js";
import { Crowd } from "./crowd.js";

/** Crowds, and from how many seeds: the cost of one grows with the square of its size. */
const SIZES: readonly (readonly [size: number, seeds: number])[] = [
  [10, 100],
  [30, 20],
  [100, 5],
  [300, 1],
];
const ENDINGS: readonly (readonly [ending: Ending, what: string])[] = [
  ["kill", "that a process has ended"],
  ["power", "that a machine has ended"],
];
const STALLS = { share: 0.08, forMs: 4000, everyMs: 12_000 };
const RESTARTED = [10, 100, 300] as const;

export function printDetection(say: (line: string) => void): void {
  for (const size of [10, 100]) {
    const crowd = new Crowd({ size, seed: 1, conditions: ROUGH_WEATHER });
    const count = countFalseDeaths(crowd, STALLS, 180_000);
    say(
      `${size} nodes, 5 % loss, 200 ms round trips, 8 % of them standing still 4 s of every 12: ${count} buried alive in 180 s`,
    );
  }
  for (const size of RESTARTED) {
    say(`${size} nodes restarted within 5 s: one again after ${seconds(measureMassRestart(size, 1, 5000))}`);
  }
  for (const [ending, what] of ENDINGS) {
    say(`${what} is known to all observers after`);
    for (const [size, seeds] of SIZES) {
      const { medianMs, p99Ms, slowestMs, joinedMs } = measureDetection(size, seeds, ending);
      const joined = `(joined within ${seconds(joinedMs)}; ${seeds} crashes)`;
      say(
        `  ${String(size).padStart(5)} nodes: median ${seconds(medianMs)}, p99 ${seconds(p99Ms)}, slowest ${seconds(slowestMs)} ${joined}`,
      );
    }
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
