/**
 * The inside of an enclosure, started by `main.ts`: plays the one scenario it is given and ends. It is the first process of
 * its process namespace, so that everything it started ends with it.
 */
import { parseArgs } from "node:util";
import { must } from "@patina/base";
import { REAL_SCENARIOS } from "./list.js";
import { playScenario } from "./play.js";

const INTERRUPTED = 130;

const { values, positionals } = parseArgs({
  options: { short: { type: "boolean", default: false }, members: { type: "string" } },
  allowPositionals: true,
});
const [name, dir] = positionals;
// Nobody ends the first process of a namespace unless it says so.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(INTERRUPTED));
process.stdin.on("end", () => process.exit(INTERRUPTED)).resume();

const isAsItMustBe = await playScenario(
  must(REAL_SCENARIOS.find((scenario) => scenario.name === name), "a scenario of the list"), // prettier-ignore
  {
    dir: must(dir, "an empty directory"),
    isShort: values.short,
    members: values.members === undefined ? undefined : Number(values.members),
  },
);
process.exit(isAsItMustBe ? 0 : 1);
