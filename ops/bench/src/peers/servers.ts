/** Server processes that are measured beside ours: started quietly, and gone when the run is, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";

export class Servers {
  readonly #running: ChildProcess[] = [];

  /** Runs it in a directory of its own. Whether it works is found out by talking to it. */
  spawn(program: string, args: readonly string[], dir: string): ChildProcess {
    mkdirSync(dir, { recursive: true });
    const server = spawn(program, args, { cwd: dir, stdio: ["ignore", "pipe", "ignore"] });
    server.stdout?.resume();
    server.on("error", () => undefined); // It did not start: dialling it fails, and says so.
    if (this.#running.length === 0) process.once("exit", this.#killAll);
    this.#running.push(server);
    return server;
  }

  async stop(): Promise<void> {
    process.removeListener("exit", this.#killAll);
    await Promise.all(this.#running.splice(0).map(kill));
  }

  readonly #killAll = (): void => {
    for (const server of this.#running) server.kill("SIGKILL");
  };
}

/** Ends it at once. */
export async function kill(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
}
