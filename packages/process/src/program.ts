/** What both programs do around their agent: read arguments, start, say so, and stop on a signal or a fatal error. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { AppError, asAppError, messageOf } from "@patina/base";

export interface Stoppable {
  stop(): Promise<void>;
}

export interface ProgramInput {
  readonly argv: readonly string[];
  readonly start: (configPath: string, onFatal: (error: AppError) => void) => Promise<Stoppable>;
}

/** Exit statuses, as in sysexits.h: the configuration is wrong; the software or its disk failed. */
const EXIT_CONFIG = 78;
const EXIT_FAILED = 70;
const LAST_ANSWERS_MS = 100;
/** How long a stop may take before the process ends anyway. */
const STOP_WITHIN_MS = 10_000;

const CONFIG_CODES = new Set([
  "config-invalid",
  "schema-invalid",
  "schema-destructive",
  "port-in-use",
  "data-dir-foreign",
  "data-dir-in-use",
]);

/** Runs until SIGINT or SIGTERM. A start that fails prints what, why and what to do, and exits 78 or 70. */
export async function runProgram({ argv, start }: ProgramInput): Promise<void> {
  const onFatal = (error: AppError): void => {
    setTimeout(() => exitWith(error), LAST_ANSWERS_MS); // Callers whose writes were refused are still told so.
  };
  let running: Stoppable;
  let exitWithParent: boolean;
  try {
    const options = readArguments(argv);
    exitWithParent = options.exitWithParent;
    running = await start(options.configPath, onFatal);
  } catch (thrown) {
    return exitWith(asAppError(thrown));
  }
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    setTimeout(() => process.exit(EXIT_FAILED), STOP_WITHIN_MS).unref();
    running.stop().then(
      () => process.exit(0),
      (thrown: unknown) => exitWith(asAppError(thrown)),
    );
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  if (exitWithParent) process.stdin.on("end", stop).resume();
}

/** The release this is, from its package. */
export function releaseVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** The text of a file that ships with the program. */
export function readSchema(paths: readonly (string | URL)[]): string {
  try {
    return paths.map((path) => readFileSync(path, "utf8")).join("\n");
  } catch (cause) {
    throw new AppError("schema-invalid", `cannot read the schema: ${String(cause)}`, {
      cause,
      hint: "Check schema.paths.",
    });
  }
}

/** `--exit-with-parent` ends the program when its standard input does: a supervisor that is gone leaves no orphans. */
function readArguments(argv: readonly string[]): { configPath: string; exitWithParent: boolean } {
  const hint = "Start it as: main.js --config FILE.toml";
  let values;
  try {
    const options = { config: { type: "string" }, "exit-with-parent": { type: "boolean", default: false } } as const;
    values = parseArgs({ args: [...argv], options }).values;
  } catch (cause) {
    throw new AppError("config-invalid", messageOf(cause), { cause, hint });
  }
  if (values.config === undefined) throw new AppError("config-invalid", "no configuration given", { hint });
  return { configPath: values.config, exitWithParent: values["exit-with-parent"] };
}

function exitWith(error: AppError): void {
  const hint = error.hint === undefined ? "" : `\n  ${error.hint}`;
  process.stderr.write(`${error.code}: ${error.message}${hint}\n`);
  process.exit(CONFIG_CODES.has(error.code) ? EXIT_CONFIG : EXIT_FAILED);
}
