/** serf as a peer: the failure detector that ours has the papers in common with, with its settings for a local network. */
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { must } from "@patina/base";
import { freePort } from "../loopback.js";
import { within } from "../pacing.js";
import { kill, Servers } from "./servers.js";

export const SERF = "serf";
const MEETS_WITHIN_MS = 60_000;
const DIES_WITHIN_MS = 60_000;

export class SerfCluster {
  readonly #servers = new Servers();
  readonly #agents: { readonly name: string; readonly process: ChildProcess; said: string }[] = [];

  /** Waits until everybody has seen everybody join. Throws with nothing left running. */
  static async start(dir: string, size: number): Promise<SerfCluster> {
    const cluster = new SerfCluster();
    try {
      let join: string[] = [];
      for (let i = 0; i < size; i++) join = await cluster.#add(dir, `serf-${i}`, join);
      await cluster.#until(MEETS_WITHIN_MS, "all joined", () => {
        return cluster.#agents.every(({ said }) => cluster.#agents.every(({ name }) => said.includes(`EventMemberJoin: ${name} `))); // prettier-ignore
      });
      return cluster;
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
  }

  /** Kills one with SIGKILL; milliseconds until the last of the others has said that it failed. */
  async msToDetect(): Promise<number> {
    const victim = must(this.#agents.pop(), "a member");
    const killedMs = performance.now();
    await kill(victim.process);
    await this.#until(DIES_WITHIN_MS, "a death", () => {
      return this.#agents.every(({ said }) => said.includes(`EventMemberFailed: ${victim.name} `));
    });
    return performance.now() - killedMs;
  }

  async stop(): Promise<void> {
    await this.#servers.stop();
  }

  async #add(dir: string, name: string, join_: string[]): Promise<string[]> {
    const [bind, rpc] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const options = ["agent", "-node", name, "-bind", bind, "-rpc-addr", rpc, "-profile", "lan", "-log-level", "info"];
    const process = this.#servers.spawn(SERF, [...options, ...join_.flatMap((at) => ["-retry-join", at])], join(dir, name)); // prettier-ignore
    const agent = { name, process, said: "" };
    process.stdout?.on("data", (piece: Buffer) => {
      agent.said += piece.toString();
      this.#look();
    });
    this.#agents.push(agent);
    return join_.length === 0 ? [bind] : join_;
  }

  #look: () => void = () => undefined;

  async #until(limitMs: number, what: string, isSo: () => boolean): Promise<void> {
    const so = new Promise<void>((resolve) => {
      this.#look = () => {
        if (isSo()) resolve();
      };
      this.#look();
    });
    await within(limitMs, so, `serf: ${what}`);
  }
}
