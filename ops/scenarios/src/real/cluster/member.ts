/** One regional agent: the program that machines run, with a configuration, a directory and an address of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { PatinaClient } from "@patina/api";
import type { OriginId } from "@patina/base";
import { waitUntil } from "./wait-until.js";

const PROGRAM = fileURLToPath(import.meta.resolve("@patina/regional/package.json")).replace(
  "package.json",
  "dist/main.js",
);
const ASK_TIMEOUT_MS = 10_000;
const READY_WITHIN_MS = 60_000;
/** What Linux counts a process's time in. */
const TICK_MS = 10;

export interface MemberPlace {
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  readonly api: string;
  /** Runs a program where it lives. */
  readonly within: readonly string[];
}

/** What it holds, and that its content is what all of that comes to. */
export interface Digest {
  readonly node: string;
  readonly digest: string;
  readonly holdings: Readonly<Record<OriginId, number>>;
  readonly gaps: number;
  readonly quarantined: number;
}

export interface KnownMember {
  readonly nodeId: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
}

/** A line of its log. */
export interface Logged {
  /** Unix ms, by its own clock. */
  readonly time: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export class Member {
  readonly name: string;
  readonly port: number;
  readonly dir: string;
  readonly client: PatinaClient;
  readonly #within: readonly string[];
  #env: Readonly<Record<string, string>> = {};
  #process: ChildProcess | undefined;
  #node: string | undefined;

  constructor({ name, port, dir, api, within }: MemberPlace) {
    this.name = name;
    this.port = port;
    this.dir = dir;
    this.client = new PatinaClient(api, { timeoutMs: ASK_TIMEOUT_MS });
    this.#within = within;
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** From the next start on. */
  setEnvironment(env: Readonly<Record<string, string>>): void {
    this.#env = env;
  }

  start(): void {
    const log = openSync(this.#log, "a");
    const [command, ...args] = [...this.#within, process.execPath];
    const child = spawn(command, [...args, PROGRAM, "--config", join(this.dir, "agent.toml"), "--exit-with-parent"], {
      stdio: ["pipe", log, log],
      env: { ...process.env, ...this.#env },
    }); // prettier-ignore
    closeSync(log);
    child.once("exit", () => (this.#process = undefined));
    this.#process = child;
  }

  async ready(): Promise<void> {
    await waitUntil(`${this.name} is ready`, READY_WITHIN_MS, async () => {
      if (!this.isRunning) throw new Error(`${this.name} ended: ${this.lastWords()}`);
      const readiness = await this.client.request<{ ready: boolean }>("/readyz", { accept: [503] }).catch(() => undefined);
      return readiness?.ready === true;
    }); // prettier-ignore
    this.#node ??= (await this.digest()).node;
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends it in the middle of whatever it is at. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Its disk is gone, with everything on it. It must not be running. */
  async loseDisk(): Promise<void> {
    const disk = join(this.dir, "disk");
    for (const name of await readdir(disk)) await rm(join(disk, name), { recursive: true });
  }

  /** It stands still from now on, with all its sockets open. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Resolves when it has ended by itself. */
  async ended(withinMs: number): Promise<void> {
    await waitUntil(`${this.name} ends by itself`, withinMs, () => !this.isRunning);
  }

  /** Known once it has been ready. */
  get node(): string {
    return this.#node ?? "";
  }

  async digest(): Promise<Digest> {
    return this.client.request<Digest>("/v1/digest");
  }

  async members(): Promise<readonly KnownMember[]> {
    return (await this.client.request<{ members: KnownMember[] }>("/v1/members")).members;
  }

  /** The sum of a metric over its labels. */
  async metric(name: string, labels = ""): Promise<number> {
    const response = await fetch(`${this.client.url}/metrics`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const lines = (await response.text()).split("\n").filter((line) => /^[{ ]/.test(line.slice(name.length)) && line.startsWith(name)); // prettier-ignore
    return lines.filter((line) => line.includes(labels)).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  /** What it has logged since a moment, as JSON lines. */
  logged(sinceMs = 0): Logged[] {
    const lines = existsSync(this.#log) ? readFileSync(this.#log, "utf8").split("\n") : [];
    return lines.filter((line) => line.startsWith("{") && line.endsWith("}")).map((line) => JSON.parse(line) as Logged).filter(({ time }) => time >= sinceMs); // prettier-ignore
  }

  /** What it has spent on the machine's cores so far. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.#process?.pid ?? "self"}/stat`, "utf8");
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13);
    return (Number(user) + Number(system)) * TICK_MS;
  }

  /** What it holds in memory now. */
  rssBytes(): number {
    const status = readFileSync(`/proc/${this.#process?.pid ?? "self"}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** What it said last that was not a line of its log: the reason it gave for ending. */
  lastWords(): string {
    const lines = existsSync(this.#log) ? readFileSync(this.#log, "utf8").trimEnd().split("\n") : [];
    return lines.filter((line) => !line.startsWith("{")).at(-2) ?? lines.at(-1) ?? "(nothing)";
  }

  get #log(): string {
    return join(this.dir, "agent.log");
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    const ended = new Promise<void>((resolve) => running.once("exit", () => resolve()));
    running.kill(signal);
    await ended;
  }
}
