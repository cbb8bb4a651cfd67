/** Writes that arrive together share a sync: one agent, no HTTP, a writer that waits for each answer against many. */
import { join } from "node:path";
import { startAgent } from "../../agent.js";
import { rowsWrite } from "../../databases.js";
import { Machines } from "../../machines.js";
import { closedLoopRate } from "../../pacing.js";
import { type Figure, figure, type Measured } from "../../report.js";
import { interleave } from "../../rounds.js";
import type { SuiteOptions } from "../suite.js";

const MACHINES = 1000;
const WRITERS = 64;
const GOAL = 10;
const FULL = { rounds: 5, seconds: 1 };
const QUICK = { rounds: 2, seconds: 0.3 };

export async function groupCommitFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { rounds, seconds } = isQuick ? QUICK : FULL;
  const machines = new Machines(MACHINES, rng.fork());
  const agent = await startAgent(join(dir, "agent"), []);
  try {
    let written = 0;
    let steps = 0;
    agent.runtime.observe((input) => void (steps += input.kind === "write" ? 1 : 0));
    const write = async (): Promise<void> => {
      const outcome = await agent.runtime.write(rowsWrite([machines.change(written++ % MACHINES)]));
      if (!outcome.ok) throw outcome.error;
    };
    const perSync: number[] = [];
    const many = async (round: number): Promise<number> => {
      const [writtenBefore, stepsBefore] = [written, steps];
      const rate = await closedLoopRate(write, WRITERS, seconds);
      if (round > 0) perSync.push((written - writtenBefore) / (steps - stepsBefore));
      return rate;
    };
    const results = await interleave({ one: () => closedLoopRate(write, 1, seconds), many }, { rounds, rng });
    const rate = (name: string, values: readonly number[]): Measured => ({ name, unit: "writes/s", values });
    const one = rate("acknowledged writes at FULL, 1 writer", results.one);
    const all = rate(`acknowledged writes at FULL, ${WRITERS} writers`, results.many);
    return [
      figure(one),
      figure(all, { versus: one, better: "more", goal: { of: "ratio", atLeast: GOAL } }),
      figure({ name: `writes that share a sync, ${WRITERS} writers`, unit: "", values: perSync }),
    ];
  } finally {
    await agent.stop();
  }
}
