/**
 * `npm run sim -- --seed N` replays one seed; `--seeds COUNT [--from N]` runs many; `--twice` proves that each gives the
 * same trace again. Exits 1 when any run had findings.
 */
import { parseArgs } from "node:util";
import { runSeed, type SeedResult } from "./run-seed.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    twice: { type: "boolean", default: false },
  },
});

const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  process.stderr.write("usage: npm run sim -- [--seed N | --seeds COUNT --from N] [--twice]\n");
  process.exit(2);
}

let failed = 0;
let steps = 0;
for (let seed = first; seed < first + count; seed++) {
  const result = runSeed(seed);
  const problems = [...result.problems];
  if (values.twice && runSeed(seed).traceHash !== result.traceHash) problems.push("the second run had another trace");
  steps += result.steps;
  if (problems.length > 0) failed++;
  if (problems.length > 0 || values.seed !== undefined) report(result, problems);
}
process.stdout.write(
  `${count - failed} of ${count} seeds passed${values.twice ? ", each twice with one trace" : ""}; ${steps} steps\n`,
);
process.exit(failed === 0 ? 0 : 1);

function report(
  { seed, plan, traceHash, steps: taken, acknowledged, convergedAfterMs }: SeedResult,
  problems: string[],
): void {
  const verdict = problems.length === 0 ? `converged ${convergedAfterMs} ms after healing` : "FAILED";
  process.stdout.write(
    `seed ${seed}: ${verdict} (${plan}; ${taken} steps, ${acknowledged} acknowledged, trace ${traceHash})\n`,
  );
  for (const problem of problems) process.stdout.write(`  ${problem}\n`);
  if (problems.length > 0) process.stdout.write(`  replay: npm run sim -- --seed ${seed}\n`);
}
