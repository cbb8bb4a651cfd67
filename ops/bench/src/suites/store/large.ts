/** Writes to a store with a million rows, and what of each ratio is lost against one with a tenth of them. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Figure, figureAlone } from "../../report.js";
import { medianRatio } from "../../rounds.js";
import type { SuiteOptions } from "../suite.js";
import { measureThroughput, type Rates, throughputFigures, type ThroughputSizes } from "./throughput.js";

const FULL: ThroughputSizes = { rows: 1_000_000, transactions: 400, singles: 2000, rounds: 3 };
const QUICK: ThroughputSizes = { rows: 30_000, transactions: 15, singles: 100, rounds: 2 };
const TIMES_AS_LARGE = 10;
const LOST_AT_MOST = 0.15;

const PEERS = {
  objects: "bareFull",
  statements: "bareFull",
  apply: "bareNormal",
  unchanged: "bareUnchanged",
} as const satisfies Partial<Record<keyof Rates, keyof Rates>>;
const NAMES: Readonly<Record<keyof typeof PEERS, string>> = {
  objects: "objects",
  statements: "SQL statements",
  apply: "remote apply",
  unchanged: "unchanged objects",
};

export async function storeLargeSuite({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const large = isQuick ? QUICK : FULL;
  const measure = async (sizes: ThroughputSizes): Promise<Rates> => {
    const own = join(dir, String(sizes.rows));
    await mkdir(own);
    const rates = await measureThroughput(own, sizes, rng);
    await rm(own, { recursive: true });
    return rates;
  };
  const small = await measure({ ...large, rows: large.rows / TIMES_AS_LARGE, transactions: Math.min(large.transactions, large.rows / TIMES_AS_LARGE / 250) }); // prettier-ignore
  const rates = await measure(large);
  const lost = (Object.keys(PEERS) as (keyof typeof PEERS)[]).map((name) => {
    const ratioOf = (of: Rates): number => medianRatio(of[name], of[PEERS[name]]);
    const what = `${NAMES[name]}: ratio lost from ${large.rows / TIMES_AS_LARGE / 1000}k to ${large.rows / 1000}k rows`;
    const values = [ratioOf(small) - ratioOf(rates)];
    return figureAlone({ name: what, unit: "×", values }, { of: "value", atMost: LOST_AT_MOST });
  });
  return [...throughputFigures(rates), ...lost];
}
