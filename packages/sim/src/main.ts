/**
 * `npm run sim`: whole clusters in virtual time.
 *
 *   --seed N [--plan FILE]                one seed, or what a failed run of it was cut down to
 *   --seeds COUNT [--from N] [--jobs N]   many, over a few threads, and which rare paths they went down
 *   --detection                           how fast the failure detector is, and how often wrong, in crowds of 10 to 1,000
 *   --twice                               each seed twice, to prove that it gives the same trace again
 *
 * Exits 1 when any run had findings.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runSeeds } from "./campaign/campaign.js";
import { printDetection } from "./crowd/report.js";
import { Tally } from "./coverage/tally.js";
import { parsePlan, planText } from "./plan/plan-text.js";
import { failureText } from "./run/failure.js";
import { runSeed, type SeedResult } from "./run/run-seed.js";

const USAGE =
  "usage: npm run sim -- [--seed N [--plan FILE] | --seeds COUNT --from N --jobs N] [--twice] | --detection\n";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    plan: { type: "string" },
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
    detection: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
  },
});

const numbers = [values.seed ?? values.from, values.seeds, values.jobs].map(Number);
const [from = 0, count = 0, jobs = 0] = numbers;
if (!numbers.every((it) => Number.isSafeInteger(it) && it > 0)) {
  process.stderr.write(USAGE);
  process.exit(2);
}
if (values.detection) printDetection(say);
else process.exitCode = (values.seed === undefined ? await runMany() : runOne(from)) ? 0 : 1;

function runOne(seed: number): boolean {
  const plan = values.plan === undefined ? {} : { plan: parsePlan(readFileSync(values.plan, "utf8")) };
  const result = runSeed(seed, plan);
  if (result.problems.length > 0) {
    say(values.plan === undefined ? failureText(result) : [planText(result.plan), ...result.problems].join("\n"));
    return false;
  }
  const { traceHash, steps, acknowledged, convergedAfterMs } = result;
  say(planText(result.plan));
  say(
    `converged ${convergedAfterMs} ms after healing; ${steps} steps, ${acknowledged} acknowledged, trace ${traceHash}`,
  );
  return !values.twice || runSeed(seed, plan).traceHash === traceHash;
}

async function runMany(): Promise<boolean> {
  const tally = new Tally();
  let [failed, steps, virtualMs] = [0, 0, 0];
  await runSeeds({ from, count, jobs, isTwice: values.twice }, (result: SeedResult) => {
    tally.add(result.paths);
    steps += result.steps;
    virtualMs += result.virtualMs;
    if (result.problems.length === 0) return;
    failed++;
    say(failureText(result));
  });
  const hours = (virtualMs / 3_600_000).toFixed(1);
  say(`seeds that went down each rare path:\n${tally.table()}`);
  say(
    `${count - failed} of ${count} seeds passed${values.twice ? ", each twice with one trace" : ""}; ${steps} steps, ${hours} virtual hours`,
  );
  return failed === 0;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
