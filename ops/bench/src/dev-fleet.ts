/** The fleet of `patina dev` as processes of its own on loopback: three regions and a global tier, with nothing on them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "@patina/base";
import { freePorts } from "./loopback.js";

const PATINA = fileURLToPath(new URL("../../cli/bin/patina.js", import.meta.url));
/** Ports from the first one on that a fleet may take. */
const PORTS = 100;

interface FleetFile {
  readonly regions: Readonly<Record<string, readonly { readonly api: string }[]>>;
  readonly global: readonly { readonly api: string }[];
}

export class DevFleet {
  readonly #child: ChildProcess;
  readonly #file: FleetFile;

  private constructor(child: ChildProcess, file: FleetFile) {
    this.#child = child;
    this.#file = file;
  }

  /** Resolves when every agent is ready. Throws with what it said when it ends before that. */
  static async start(dir: string, holdDownMs: number): Promise<DevFleet> {
    const basePort = await freePorts(PORTS);
    const home = join(dir, "fleet");
    const args = ["dev", "--dir", home, "--base-port", basePort, "--machines", 0, "--hold-down", holdDownMs];
    const child = spawn(process.execPath, [PATINA, ...args.map(String)], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    const ready = new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (text: Buffer) => {
        said += text.toString();
        if (said.includes("Ctrl-C stops the fleet")) resolve();
      });
      child.once("exit", () => reject(new Error(`the fleet did not start: ${said.slice(-500)}`)));
    });
    await ready;
    return new DevFleet(child, JSON.parse(readFileSync(join(home, "fleet.json"), "utf8")) as FleetFile);
  }

  /** Where that agent of the region, or of the global tier, serves HTTP. */
  api(region: string, index: number): string {
    const agents = region === "global" ? this.#file.global : must(this.#file.regions[region], "a region");
    return must(agents[index % agents.length], "an agent").api;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}
