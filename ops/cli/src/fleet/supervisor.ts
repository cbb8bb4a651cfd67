/**
 * Runs a local fleet: one process an agent, restarted when it ends by itself, stopped in order. It is the same program
 * with the same kind of configuration as on a real machine; only where systemd would be, this is.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AppError, must } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import type { Layout, PlacedAgent } from "./layout.js";

const RESTART_AFTER_MS = 1000;
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;
const POLL_MS = 100;

const PROGRAMS = {
  regional: fileURLToPath(import.meta.resolve("@patina/regional/package.json")).replace("package.json", "dist/main.js"),
  global: fileURLToPath(import.meta.resolve("@patina/global/package.json")).replace("package.json", "dist/main.js"),
};

type Wanted = "running" | "stopped";

interface Child {
  readonly agent: PlacedAgent;
  wanted: Wanted;
  process: ChildProcess | undefined;
  /** How it ended last, when it ended by itself. */
  failure: string | undefined;
}

export class Supervisor {
  readonly #children: ReadonlyMap<string, Child>;
  #isStopping = false;

  constructor({ agents }: Layout) {
    this.#children = new Map(
      agents.map((agent) => [agent.name, { agent, wanted: "stopped", process: undefined, failure: undefined }]),
    );
  }

  /** Agents by name, with what is wanted of each and its process. */
  states(): { name: string; cluster: string; wanted: Wanted; pid: number | null }[] {
    return [...this.#children.values()].map(({ agent, wanted, process }) => {
      return { name: agent.name, cluster: agent.cluster, wanted, pid: process?.pid ?? null };
    });
  }

  start(name: string): void {
    const child = this.#child(name);
    child.wanted = "running";
    if (child.process === undefined) this.#spawn(child);
  }

  /** Waits until every agent that should run says it is ready. Throws with an agent's own words when one ends instead. */
  async ready(onReady: (name: string) => void = () => undefined): Promise<void> {
    const waiting = [...this.#children.values()].filter(({ wanted }) => wanted === "running");
    await Promise.all(
      waiting.map(async (child) => {
        await this.#readyOne(child);
        onReady(child.agent.name);
      }),
    );
  }

  /** Asks it to stop and waits; it stays down until started again. */
  async stop(name: string): Promise<void> {
    const child = this.#child(name);
    child.wanted = "stopped";
    await this.#end(child, "SIGTERM");
  }

  /** kill -9. It stays down until started again. */
  async kill(name: string): Promise<void> {
    const child = this.#child(name);
    child.wanted = "stopped";
    await this.#end(child, "SIGKILL");
  }

  /** Regions before the global tier, so that borders still have somebody to say goodbye to. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    const names = (role: PlacedAgent["role"]): string[] =>
      [...this.#children.values()].filter(({ agent }) => agent.role === role).map(({ agent }) => agent.name);
    await Promise.all(names("regional").map((name) => this.stop(name)));
    await Promise.all(names("global").map((name) => this.stop(name)));
  }

  #child(name: string): Child {
    const child = this.#children.get(name);
    if (child !== undefined) return child;
    throw new AppError("fleet-unknown", `there is no agent ${name}`, {
      hint: `The agents are ${[...this.#children.keys()].join(", ")}.`,
    });
  }

  #spawn(child: Child): void {
    const { agent } = child;
    if (!existsSync(PROGRAMS[agent.role]))
      throw new AppError("internal", "the agents are not built", { hint: "npm run build" });
    const log = openSync(agent.log, "a");
    // Its standard input is a pipe from here: when this process is gone, however it went, the agent ends too.
    const started = spawn(process.execPath, [PROGRAMS[agent.role], "--config", agent.config, "--exit-with-parent"], {
      stdio: ["pipe", log, log],
      detached: true, // Ctrl-C is for this process, which stops its agents in order.
    });
    closeSync(log);
    child.process = started;
    started.on("exit", (status, signal) => {
      child.process = undefined;
      if (child.wanted === "stopped" || this.#isStopping) return;
      child.failure = `${agent.name} ended (${signal ?? `status ${status}`}): ${lastLines(agent.log)}`;
      setTimeout(() => {
        if (child.wanted === "running" && child.process === undefined && !this.#isStopping) this.#spawn(child);
      }, RESTART_AFTER_MS);
    });
  }

  async #readyOne(child: Child): Promise<void> {
    const client = new PatinaClient(child.agent.api, { timeoutMs: 1000 });
    child.failure = undefined;
    for (let waitedMs = 0; waitedMs < READY_WITHIN_MS; waitedMs += POLL_MS) {
      if (child.failure !== undefined) throw new AppError("agent-unreachable", child.failure);
      const readiness = await client.request<{ ready: boolean }>("/readyz", { accept: [503] }).catch(() => undefined);
      if (readiness?.ready === true) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new AppError("agent-unreachable", `${child.agent.name} is not ready: ${lastLines(child.agent.log)}`);
  }

  async #end(child: Child, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const running = child.process;
    if (running === undefined) return;
    const ended = new Promise<void>((resolve) => running.once("exit", () => resolve()));
    running.kill(signal);
    const late = setTimeout(() => running.kill("SIGKILL"), STOP_WITHIN_MS);
    await ended;
    clearTimeout(late);
    must(child.process === undefined ? true : undefined, `${child.agent.name} has ended`);
  }
}

/** What an agent said last: the reason it gave for ending. */
function lastLines(path: string): string {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const said = lines.slice(-6).filter((line) => !line.startsWith("{"));
  return said.length > 0 ? said.join("\n  ") : (lines.at(-1) ?? "(it said nothing)");
}
