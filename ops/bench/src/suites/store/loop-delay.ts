/**
 * How long an agent's thread is held while a peer sends it many rows: the event loop's delay, from the first row's
 * arrival until all are applied. The peer has a thread of its own.
 */
import { once } from "node:events";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { type BenchAgent, startAgent } from "../../agent.js";
import { within } from "../../pacing.js";
import { type Figure, figure, figureAlone } from "../../report.js";
import type { SenderOrder, SenderReady } from "../../sender.js";
import type { SuiteOptions } from "../suite.js";

const FULL_ROWS = 100_000;
const QUICK_ROWS = 5000;
const FULL_ROUNDS = 2;
const GOAL_MS = { p99: 10, max: 50 } as const;
const LIMIT_MS = 120_000;

export async function loopDelayFigures({ isQuick, dir }: SuiteOptions): Promise<Figure[]> {
  const rows = isQuick ? QUICK_ROWS : FULL_ROWS;
  const figures: Figure[] = [];
  for (const mode of ["flood", "catch-up"] as const) {
    const delays: Delays[] = [];
    for (let round = 0; round <= (isQuick ? 1 : FULL_ROUNDS); round++) {
      const measured = await receive(join(dir, `${mode}-${round}`), rows, mode);
      if (round > 0) delays.push(measured); // The first one is to warm up.
    }
    figures.push(...figuresOf(mode, rows, delays));
  }
  return figures;
}

interface Delays {
  readonly p99: number;
  readonly max: number;
  readonly rowsPerSecond: number;
}

async function receive(path: string, rows: number, mode: SenderOrder["mode"]): Promise<Delays> {
  const agent = await startAgent(`${path}-receiver`, []);
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  try {
    let startMs = 0;
    agent.runtime.onEvent((event) => {
      if (startMs > 0 || event.kind !== "changed" || event.source !== "remote") return;
      startMs = performance.now();
      histogram.enable();
    });
    const workerData: SenderOrder = { path: `${path}-sender`, rows, peer: agent.address, mode };
    const sender = new Worker(new URL("../../sender.worker.js", import.meta.url), { workerData });
    const exit = once(sender, "exit");
    const [{ origin, versions }] = (await within(LIMIT_MS, once(sender, "message"), "a peer's rows")) as [SenderReady];
    await within(LIMIT_MS, holding(agent, origin, versions), "rows applied");
    histogram.disable();
    const rowsPerSecond = (rows * 1000) / (performance.now() - startMs);
    sender.postMessage("done");
    await exit;
    return { p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6, rowsPerSecond };
  } finally {
    histogram.disable();
    await agent.stop();
  }
}

/** Resolves when the agent holds all versions up to that one. */
async function holding({ runtime }: BenchAgent, origin: string, version: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const held = runtime.store.holdings().get(origin);
      if (held !== undefined && held.head >= version && held.gaps.isEmpty) resolve();
    };
    runtime.observe(look);
    look();
  });
}

function figuresOf(mode: SenderOrder["mode"], rows: number, delays: readonly Delays[]): Figure[] {
  const what = mode === "flood" ? "a peer writes" : "it catches up on";
  const name = `loop delay while ${what} ${rows.toLocaleString("en-US")} rows`;
  const of = (key: keyof Delays): number[] => delays.map((delay) => delay[key]);
  return [
    figureAlone({ name: `${name}, p99`, unit: "ms", values: of("p99") }, { of: "value", atMost: GOAL_MS.p99 }),
    figureAlone({ name: `${name}, max`, unit: "ms", values: of("max") }, { of: "value", atMost: GOAL_MS.max }),
    figure({ name: "  rows applied meanwhile", unit: "rows/s", values: of("rowsPerSecond") }),
  ];
}
