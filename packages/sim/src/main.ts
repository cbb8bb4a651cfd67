/**
 * `npm run sim`: whole clusters in virtual time, and with `--tiers` whole fleets: regions, the global tier, routers.
 *
 *   --seed N [--plan FILE]                one seed, or what a failed run of it was cut down to
 *   --seeds COUNT [--from N] [--jobs N]   many, over a few threads, and which rare paths they went down
 *   --tiers                               of the two tiers, instead of one cluster
 *   --detection                           how fast the failure detector is, and how often wrong, in crowds of 10 to 1,000
 *   --twice                               each seed twice, to prove that it gives the same trace again
 *
 * Exits 1 when any run had findings.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { messageOf } from "@patina/base";
import { runSeeds } from "./campaign/campaign.js";
import { printDetection } from "./crowd/report.js";
import { Tally } from "./coverage/tally.js";
import { SIMULATIONS } from "./run/simulation.js";

const USAGE =
  "usage: npm run sim -- [--tiers] [--seed N [--plan FILE] | --seeds COUNT --from N --jobs N] [--twice] | --detection";

const values = parseOrder();
if (values.help) {
  say(USAGE);
  process.exit();
}

const numbers = [values.seed ?? values.from, values.seeds, values.jobs].map(Number);
const [from = 0, count = 0, jobs = 0] = numbers;
if (!numbers.every((it) => Number.isSafeInteger(it) && it > 0)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}
const what = values.tiers ? "tiers" : "cluster";
const simulation = SIMULATIONS[what];
if (values.detection) printDetection(say);
else process.exitCode = (values.seed === undefined ? await runMany() : runOne(from)) ? 0 : 1;

function parseOrder() {
  const options = {
    seed: { type: "string" },
    plan: { type: "string" },
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
    tiers: { type: "boolean", default: false },
    detection: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (thrown) {
    process.stderr.write(`${messageOf(thrown)}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

function runOne(seed: number): boolean {
  const plan = values.plan === undefined ? undefined : readFileSync(values.plan, "utf8");
  const { problems, text, traceHash } = simulation.run(seed, plan);
  if (problems.length > 0) {
    say(plan === undefined ? simulation.explain(seed) : [text, ...problems].join("\n"));
    return false;
  }
  say(text);
  return !values.twice || simulation.run(seed, plan).traceHash === traceHash;
}

async function runMany(): Promise<boolean> {
  const tally = new Tally(simulation.paths);
  let [failed, steps, virtualMs] = [0, 0, 0];
  await runSeeds({ what, from, count, jobs, isTwice: values.twice }, (outcome) => {
    tally.add(outcome.paths);
    steps += outcome.steps;
    virtualMs += outcome.virtualMs;
    if (outcome.problems.length === 0) return;
    failed++;
    const isOfTrace = outcome.problems.every((problem) => problem.startsWith("X1"));
    say(isOfTrace ? `seed ${outcome.seed} FAILED: ${outcome.problems.join("; ")}` : simulation.explain(outcome.seed));
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
