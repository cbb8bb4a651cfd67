/** `patina dev`: a whole two-tier fleet on this machine, with something running on it, until Ctrl-C. */
import type { Command } from "commander";
import pc from "picocolors";
import { AppError } from "@patina/base";
import { systemNow } from "@patina/runtime";
import { EXIT } from "../exit-status.js";
import { DEFAULT_DIR } from "../fleet/fleet-file.js";
import { DEFAULT_SHAPE } from "../fleet/layout.js";
import { LocalFleet } from "../fleet/local-fleet.js";
import { anyRouter } from "../fleet/reach.js";
import { settle } from "../fleet/settle.js";
import { note, seconds } from "../output.js";
import { Loader, startJobs } from "../workload/loader.js";
import { SAMPLE, sampleFleet } from "../workload/sample.js";
import { readTrace, type TraceEvent } from "../workload/trace.js";
import { replayTrace } from "./replay-trace.js";
import { fleetText } from "./fleet-text.js";

interface DevFlags {
  readonly dir: string;
  readonly basePort: string;
  readonly machines: string;
  readonly trace?: string;
  readonly speed: string;
  readonly holdDown?: string;
  readonly checkpoints?: string;
  readonly checkpointKey?: string;
  readonly once?: boolean;
}

const SETTLE_WITHIN_MS = 60_000;

export function addDev(program: Command): void {
  program
    .command("dev")
    .description("run a fleet of three regions and a global tier on this machine")
    .option("--dir <dir>", "where its state lives", DEFAULT_DIR)
    .option("--base-port <port>", "the first of its ports", String(DEFAULT_SHAPE.basePort))
    .option("--machines <count>", "machines in the sample fleet, 0 for none", String(SAMPLE.machines))
    .option("--trace <file>", "replay this trace instead of loading the sample")
    .option("--speed <factor>", "trace seconds a second", "20000")
    .option("--hold-down <ms>", "how long an app must be gone before the world is told")
    .option("--checkpoints <url>", "where checkpoints go: s3://… or file:///… (default: a directory in --dir)")
    .option("--checkpoint-key <file>", "the key file of a signed or encrypted store")
    .option("--once", "stop when loaded and settled instead of waiting for Ctrl-C; exit 7 when something is wrong")
    .action(dev);
}

async function dev(flags: DevFlags): Promise<void> {
  const began = systemNow().monotonicMs;
  const basePort = positive(flags.basePort, "--base-port", 65_000);
  const machines = positive(flags.machines, "--machines", 1_000_000);
  const speed = positive(flags.speed, "--speed", 1e9);
  const holdDownMs = flags.holdDown === undefined ? undefined : positive(flags.holdDown, "--hold-down", 600_000);
  const events = flags.trace === undefined ? undefined : readTrace(flags.trace, DEFAULT_SHAPE.regions);
  let ready = 0;
  note(
    `${pc.bold("patina dev")}: three regions (${DEFAULT_SHAPE.regions.join(" ")}) and a global tier, state in ${flags.dir}/`,
  );
  const count = DEFAULT_SHAPE.regions.length * DEFAULT_SHAPE.agentsPerRegion + DEFAULT_SHAPE.globalAgents;
  const interrupted = interruption();
  const { dir, checkpoints, checkpointKey: checkpointKeyFile } = flags;
  const shape = { ...DEFAULT_SHAPE, dir, basePort, holdDownMs, checkpoints, checkpointKeyFile };
  const fleet = await LocalFleet.start(shape, (name) => {
    note(pc.dim(`  ${String(++ready).padStart(2)}/${count} ready: ${name}`));
  });
  try {
    const problem = await Promise.race([fill(fleet, events, machines, speed), interrupted.promise]);
    if (interrupted.happened) return;
    process.stdout.write(await fleetText(fleet.layout));
    note(
      `${problem === undefined ? pc.green("ready") : pc.red(problem)} in ${seconds(systemNow().monotonicMs - began)}`,
    );
    if (problem !== undefined) process.exitCode = EXIT.findings;
    if (flags.once === true) return;
    note(pc.dim("Ctrl-C stops the fleet; its state stays."));
    await interrupted.promise;
  } finally {
    note("stopping…");
    await fleet.stop();
    note("stopped");
  }
}

/** Loads the sample or the trace and waits until everything agrees; what does not, when something does not. */
async function fill(
  fleet: LocalFleet,
  events: readonly TraceEvent[] | undefined,
  machines: number,
  speed: number,
): Promise<string | undefined> {
  const { fleet: file } = fleet.layout;
  if (events !== undefined) return replayTrace(file, events, speed);
  const jobs = startJobs(sampleFleet(machines), Object.keys(file.regions));
  let written = 0;
  let told = 0;
  await new Loader(file).write(machines === 0 ? [] : jobs, (count) => {
    written += count;
    if (written < told + 800 && written < jobs.length) return;
    told = written;
    note(pc.dim(`  ${written} of ${jobs.length} machines`));
  });
  return settle(file, await anyRouter(file), SETTLE_WITHIN_MS);
}

function interruption(): { readonly promise: Promise<undefined>; readonly happened: boolean } {
  let happened = false;
  const promise = new Promise<undefined>((resolve) => {
    const stop = (): void => {
      happened = true;
      resolve(undefined);
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
  });
  return {
    promise,
    get happened() {
      return happened;
    },
  };
}

function positive(text: string, flag: string, most: number): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0 && value <= most) return value;
  throw new AppError("bad-request", `${flag} ${text}: not a number from 0 to ${most}`);
}
