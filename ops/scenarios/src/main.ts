/**
 * `npm run scenarios [-- NAME…] [--list] [--seed N] [--short] [--members N] [--keep]`: plays accidents of other systems in
 * simulation, and faults of real machines on real agents, each in namespaces of its own. Exits 1 when one went wrong.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "@patina/base";
import { SCENARIOS } from "./list.js";
import { runEnclosed, whyNotHere } from "./real/enclosure/enclosure.js";
import { REAL_SCENARIOS } from "./real/list.js";
import type { Scenario } from "./scenario.js";

const ENCLOSED = fileURLToPath(new URL("./real/enclosed.js", import.meta.url));
const INTERRUPTED = 130;
const USAGE = "usage: npm run scenarios -- [NAME…] [--list] [--seed N] [--short] [--members N] [--keep]\n";
const NAMES = [...SCENARIOS.map(({ id }) => id), ...REAL_SCENARIOS.map(({ name }) => name)];

const { values, positionals } = parseOrder();

const isChosen = (name: string): boolean => positionals.length === 0 || positionals.includes(name);
const simulated = SCENARIOS.filter(({ id }) => isChosen(id));
const real = REAL_SCENARIOS.filter(({ name }) => isChosen(name));

if (values.help) {
  process.stdout.write(helpText());
} else if (values.list) {
  for (const { id, title } of SCENARIOS) process.stdout.write(`${id.padEnd(16)} ${title}\n`);
  for (const { name, title } of REAL_SCENARIOS) process.stdout.write(`${name.padEnd(16)} ${title}\n`);
} else if (isUnderstood()) {
  const areGood = simulated.map(simulate);
  process.exitCode = (await playAll()) || (areGood.includes(false) ? 1 : 0);
} else {
  process.stderr.write(helpText());
  process.exitCode = 2;
}

function parseOrder() {
  const options = {
    list: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    short: { type: "boolean", default: false },
    members: { type: "string" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (thrown) {
    process.stderr.write(`${messageOf(thrown)}\n\n${helpText()}`);
    process.exit(2);
  }
}

function helpText(): string {
  return `${USAGE}  NAME is one of ${NAMES.join(" ")}\n`;
}

function isUnderstood(): boolean {
  const members = Number(values.members ?? 2);
  const areKnown = positionals.length === 0 || simulated.length + real.length === new Set(positionals).size;
  return areKnown && Number.isSafeInteger(Number(values.seed)) && Number.isInteger(members) && members >= 2;
}

function simulate({ id, title, play }: Scenario): boolean {
  const problems = play(Number(values.seed));
  process.stdout.write(`${problems.length === 0 ? "ok    " : "FAILED"} ${id.padEnd(4)} ${title}\n`);
  for (const problem of problems) process.stdout.write(`            ${problem}\n`);
  return problems.length === 0;
}

async function playAll(): Promise<number> {
  const cannot = real.length === 0 ? undefined : whyNotHere();
  const options = [
    ...(values.short ? ["--short"] : []),
    ...(values.members === undefined ? [] : ["--members", values.members]),
  ];
  let status = 0;
  for (const { name, whyNot } of real) {
    const reason = cannot ?? whyNot?.();
    if (reason !== undefined) {
      process.stdout.write(`${name}: skipped: ${reason}\n`);
      continue;
    }
    const ended = await runEnclosed(ENCLOSED, [...options, name], values.keep);
    if (ended === INTERRUPTED) return ended;
    if (ended !== 0) status = 1;
  }
  return status;
}
