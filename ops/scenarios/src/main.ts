/** `npm run scenarios [-- F1 F7 …] [--seed N]`: plays them and says how each went. Exits 1 when one went wrong. */
import { parseArgs } from "node:util";
import { SCENARIOS } from "./list.js";

const { values, positionals } = parseArgs({
  options: { seed: { type: "string", default: "1" } },
  allowPositionals: true,
});
const chosen = SCENARIOS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
if (chosen.length === 0 || !Number.isSafeInteger(Number(values.seed))) {
  process.stderr.write(`usage: npm run scenarios -- [${SCENARIOS.map(({ id }) => id).join(" ")}] [--seed N]\n`);
  process.exit(2);
}

for (const { id, title, play } of chosen) {
  const problems = play(Number(values.seed));
  process.stdout.write(`${problems.length === 0 ? "ok    " : "FAILED"} ${id.padEnd(4)} ${title}\n`);
  for (const problem of problems) process.stdout.write(`            ${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
}
