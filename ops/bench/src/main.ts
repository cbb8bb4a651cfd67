/**
 * `npm run bench -- [SUITE...] [--quick] [-o json]` measures Patina against bare peers and physical limits, all in the
 * same run. A goal that was missed is printed and does not fail the run: this measures, it does not judge.
 */
import { parseArgs } from "node:util";
import { messageOf, Rng } from "@patina/base";
import { newSeed } from "@patina/runtime";
import { jsonLine, table } from "./report.js";
import { removeScratch, withScratch } from "./scratch.js";
import { checkpointSuite } from "./suites/checkpoint.js";
import { checkpointLargeSuite } from "./suites/checkpoint-large.js";
import { gossipSuite } from "./suites/gossip/suite.js";
import { routerSuite } from "./suites/router.js";
import { securitySuite } from "./suites/security.js";
import { storeLargeSuite } from "./suites/store/large.js";
import { storeSuite } from "./suites/store/suite.js";
import type { Suite } from "./suites/suite.js";

const SUITES: ReadonlyMap<string, Suite> = new Map([
  ["store", storeSuite],
  ["gossip", gossipSuite],
  ["router", routerSuite],
  ["checkpoint", checkpointSuite],
  ["security", securitySuite],
  ["store-large", storeLargeSuite],
  ["checkpoint-large", checkpointLargeSuite],
]);
/** They take a million rows and minutes: only when they are named. */
const ONLY_WHEN_NAMED = ["store-large", "checkpoint-large"];

const USAGE = `usage: npm run bench -- [SUITE...] [--quick] [-o table|json]

  SUITE     ${[...SUITES.keys()].join(", ")}; when none is named, all but ${ONLY_WHEN_NAMED.join(" and ")}
  --quick   small and short: to see that it runs, not to quote from
  -o json   a line of JSON for each figure

Every figure is a median over rounds, beside its peer measured in the same rounds; a ratio says how many times as good
as the peer it is. TMPDIR names the disk that is measured.
`;

interface Order {
  readonly suites: readonly string[];
  readonly isQuick: boolean;
  readonly isJson: boolean;
  readonly isHelp: boolean;
}

/** Throws for anything it does not understand. */
function parseOrder(args: readonly string[]): Order {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      output: { type: "string", short: "o", default: "table" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.find((name) => !SUITES.has(name));
  if (unknown !== undefined) throw new Error(`there is no suite ${unknown}`);
  if (values.output !== "table" && values.output !== "json") throw new Error(`there is no output ${values.output}`);
  const suites =
    positionals.length > 0
      ? [...new Set(positionals)]
      : [...SUITES.keys()].filter((name) => !ONLY_WHEN_NAMED.includes(name));
  return { suites, isQuick: values.quick, isJson: values.output === "json", isHelp: values.help };
}

async function run({ suites, isQuick, isJson }: Order): Promise<void> {
  for (const name of suites) {
    const suite = SUITES.get(name);
    if (suite === undefined) continue;
    if (process.stderr.isTTY) process.stderr.write(`measuring ${name}…\r`);
    const figures = await withScratch((dir) => suite({ isQuick, dir, rng: new Rng(newSeed()) }));
    if (isJson) for (const each of figures) process.stdout.write(`${jsonLine(name, each)}\n`);
    else process.stdout.write(`${table(name, figures)}\n`);
  }
}

async function main(): Promise<number> {
  let order: Order;
  try {
    order = parseOrder(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`${messageOf(thrown)}\n\n${USAGE}`);
    return 2;
  }
  if (order.isHelp) {
    process.stdout.write(USAGE);
    return 0;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
  process.on("exit", removeScratch);
  try {
    await run(order);
    return 0;
  } catch (thrown) {
    process.stderr.write(
      `the run failed: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`,
    );
    return 1;
  }
}

process.exitCode = await main();
