/** The store: every figure that it promises, each beside its peer or its goal. One subject a file. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Figure } from "../../report.js";
import type { Suite, SuiteOptions } from "../suite.js";
import { churnFigures } from "./churn.js";
import { digestShareFigures } from "./digest-share.js";
import { extractionFigures } from "./extraction.js";
import { groupCommitFigures } from "./group-commit.js";
import { loopDelayFigures } from "./loop-delay.js";
import { schemaChangeFigures } from "./schema-change.js";
import { sizeFigures } from "./size.js";
import { measureThroughput, throughputFigures, type ThroughputSizes } from "./throughput.js";

const FULL: ThroughputSizes = { rows: 100_000, transactions: 400, singles: 1000, rounds: 4 };
const QUICK: ThroughputSizes = { rows: 10_000, transactions: 15, singles: 100, rounds: 2 };

const SUBJECTS: Readonly<Record<string, Suite>> = {
  throughput: async ({ isQuick, dir, rng }) => throughputFigures(await measureThroughput(dir, isQuick ? QUICK : FULL, rng)), // prettier-ignore
  extraction: extractionFigures,
  digest: digestShareFigures,
  groups: groupCommitFigures,
  delay: loopDelayFigures,
  schema: schemaChangeFigures,
  size: sizeFigures,
  churn: churnFigures,
};

export async function storeSuite(options: SuiteOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, measure] of Object.entries(SUBJECTS)) {
    const dir = join(options.dir, name);
    await mkdir(dir);
    figures.push(...(await measure({ ...options, dir })));
    await rm(dir, { recursive: true });
  }
  return figures;
}
