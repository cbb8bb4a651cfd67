/** The `patina` command: arguments in, one command run, an exit status that says how it went. */
import { readFileSync } from "node:fs";
import { asAppError } from "@patina/base";
import { Command, CommanderError } from "commander";
import pc from "picocolors";
import { commandsFor } from "./commands.js";
import { EXIT, exitStatusOf } from "./exit-status.js";
import { note } from "./output.js";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const STATUS_HELP = `
Exit status: 0 done · 1 failed · 2 usage · 3 not there · 4 unreachable · 6 conflict · 7 check found something wrong · 70 internal
20–40 an object store or its key, a status each (ops/guide/checkpoints.md)`;

const program = new Command("patina")
  .description("A two-tier, regionalized cluster control plane: what runs where.")
  .version(version)
  .showSuggestionAfterError()
  .addHelpText("after", STATUS_HELP);

for (const add of await commandsFor(process.argv[2])) add(program);
exitByOverride(program);

// A reader that has seen enough (`| head`) ends its reading, not a restore that is under way.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== "EPIPE") throw thrown;
  });
}

try {
  await program.parseAsync();
} catch (thrown) {
  process.exitCode = report(thrown);
}

/** Commander's own usage errors exit 1; ours are told apart. */
function exitByOverride(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) exitByOverride(child);
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const error = asAppError(thrown);
  note(`${pc.red(error.code)}: ${error.message}`);
  if (error.hint !== undefined) note(pc.dim(`  ${error.hint}`));
  if (error.code === "internal" && error.cause instanceof Error) note(pc.dim(error.cause.stack ?? ""));
  return exitStatusOf(error);
}
