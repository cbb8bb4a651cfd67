/**
 * `npm run scenarios [-- NAME…] [--short] [--members N] [--keep] [--list]` plays faults on real agents, each in namespaces of its own.
 * Exits 1 when one went wrong.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runEnclosed, whyNotHere } from "./real/enclosure/enclosure.js";
import { REAL_SCENARIOS } from "./real/list.js";

const ENCLOSED = fileURLToPath(new URL("./real/enclosed.js", import.meta.url));
const INTERRUPTED = 130;

const { values, positionals } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    members: { type: "string" },
    keep: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const chosen = REAL_SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const size = Number(values.members ?? 2);
if (values.list) {
  for (const { name, title } of REAL_SCENARIOS) process.stdout.write(`${name.padEnd(16)} ${title}\n`);
} else if (chosen.length < new Set(positionals).size || !Number.isInteger(size) || size < 2) {
  const names = REAL_SCENARIOS.map(({ name }) => name).join(" | ");
  process.stderr.write(`usage: npm run scenarios -- [${names}]… [--short] [--members N] [--keep] [--list]\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await playAll();
}

async function playAll(): Promise<number> {
  const cannot = whyNotHere();
  let status = 0;
  for (const { name, whyNot } of chosen) {
    const reason = cannot ?? whyNot?.();
    if (reason !== undefined) {
      process.stdout.write(`${name}: skipped: ${reason}\n`);
      continue;
    }
    const options = [...(values.short ? ["--short"] : []), ...(values.members === undefined ? [] : ["--members", values.members])]; // prettier-ignore
    const ended = await runEnclosed(ENCLOSED, [...options, name], values.keep);
    if (ended === INTERRUPTED) return ended;
    if (ended !== 0) status = 1;
  }
  return status;
}
