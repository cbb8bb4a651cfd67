/** A small real fleet for tests: real processes, ports nobody has, a directory of its own. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemNow } from "@patina/runtime";
import type { FleetShape } from "../fleet/layout.js";
import { LocalFleet } from "../fleet/local-fleet.js";

export interface TestFleet {
  readonly fleet: LocalFleet;
  readonly dir: string;
  /** Runs the built `patina` against it. */
  readonly patina: (...args: readonly string[]) => Promise<Ran>;
  readonly stop: () => Promise<void>;
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Without a schedule no checkpoint is taken unasked, so that a test knows every version that is written. */
export async function startTestFleet(
  regions: readonly string[],
  holdDownMs = 300,
  checkpoints: Pick<FleetShape, "checkpoints" | "checkpointKeyFile" | "checkpointSchedule"> = {},
): Promise<TestFleet> {
  const dir = mkdtempSync(join(tmpdir(), "patina-fleet-"));
  const basePort = await freePorts(40);
  const own = { checkpointSchedule: "off", ...checkpoints };
  const shape = { dir, regions, agentsPerRegion: 3, globalAgents: 2, basePort, holdDownMs, ...own };
  const fleet = await LocalFleet.start(shape, () => undefined);
  return {
    fleet,
    dir,
    patina: (...args) => runPatina([...args, "--fleet", join(dir, "fleet.json")]),
    stop: async () => {
      await fleet.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const BIN = fileURLToPath(new URL("../../bin/patina.js", import.meta.url));

export async function runPatina(args: readonly string[]): Promise<Ran> {
  return runCommand(process.execPath, [BIN, ...args]);
}

export async function runCommand(command: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, args, { env: { ...process.env, NO_COLOR: "1" } }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** The first of `count` neighbouring ports that were all free a moment ago. */
export async function freePorts(count: number): Promise<number> {
  for (let base = 20_000 + (process.pid % 200) * 50; base < 60_000; base += 50) {
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(base + i)));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free ports");
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Awaits a condition, asking again and again; says what never came true. */
export async function until(what: string, condition: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = systemNow().monotonicMs + withinMs;
  while (!(await condition())) {
    if (systemNow().monotonicMs > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
