/** Runs drills for an agent, one at a time, each in a thread of its own. */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { AppError } from "@patina/base";
import type { Proof } from "@patina/checkpoint";
import type { DrillReply, DrillRequest } from "./protocol.js";

export class Drilling {
  readonly #about: Omit<DrillRequest, "which">;
  #worker: Worker | undefined;

  constructor(about: Omit<DrillRequest, "which">) {
    this.#about = about;
  }

  /** Throws `too-many` while one is under way, and what the drill found. */
  async run(which: string): Promise<Proof> {
    if (this.#worker !== undefined) {
      throw new AppError("too-many", "this agent is drilling already", { hint: "Wait for it, or ask another agent." });
    }
    const workerData: DrillRequest = { ...this.#about, which };
    const worker = new Worker(new URL("./drill.worker.js", import.meta.url), { workerData });
    this.#worker = worker;
    try {
      return await answerOf(worker);
    } finally {
      this.#worker = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    await removeLeftovers(this.#about.nodeDir);
  }
}

/** What a drill that was cut off left beside the data directory: a whole copy, maybe. None may be under way. */
export async function removeLeftovers(nodeDir: string): Promise<void> {
  const start = `${basename(nodeDir)}.drill-`;
  for (const name of await readdir(dirname(nodeDir))) {
    if (name.startsWith(start)) await rm(join(dirname(nodeDir), name), { recursive: true, force: true });
  }
}

async function answerOf(worker: Worker): Promise<Proof> {
  return new Promise((resolve, reject) => {
    worker.once("message", (reply: DrillReply) => {
      const { hint } = reply.ok ? { hint: undefined } : reply;
      if (reply.ok) resolve(reply.proof);
      else reject(new AppError(reply.code, reply.message, hint === undefined ? {} : { hint }));
    });
    worker.once("error", reject);
    worker.once("exit", () => reject(new AppError("not-ready", "the agent is stopping")));
  });
}
