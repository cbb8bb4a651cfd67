/** Many seeds over a few threads: each thread takes every n-th seed, and results come as they are ready. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Outcome, SIMULATIONS } from "../run/simulation.js";

export interface Campaign {
  readonly what: keyof typeof SIMULATIONS;
  readonly from: number;
  readonly count: number;
  readonly jobs: number;
  /** Runs each seed twice, and finds it wrong when the traces differ. */
  readonly isTwice: boolean;
}

/** What one thread runs. */
export interface Share {
  readonly what: keyof typeof SIMULATIONS;
  readonly from: number;
  readonly end: number;
  readonly step: number;
  readonly isTwice: boolean;
}

/** Resolves when all have been run. A thread that dies rejects. */
export async function runSeeds(
  { what, from, count, jobs, isTwice }: Campaign,
  onResult: (outcome: Outcome) => void,
): Promise<void> {
  const threads = Array.from({ length: Math.min(jobs, count) }, async (_, i) => {
    const workerData: Share = { what, from: from + i, end: from + count, step: jobs, isTwice };
    const worker = new Worker(new URL("./seeds.worker.js", import.meta.url), { workerData });
    worker.on("message", onResult);
    await once(worker, "exit"); // It rejects on `error`.
  });
  await Promise.all(threads);
}
