/**
 * One agent writes fifty times what it may push, for a minute. The changes of the others must arrive as they did before: the
 * storm is told by its heads only, and fetched when there is time. It has a thread of its own, as it would have a machine.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { mkdirSync } from "node:fs";
import type { SqlValue } from "@patina/base";
import { type BenchAgent, startAgent } from "../../agent.js";
import { rowsWrite } from "../../databases.js";
import { Machines } from "../../machines.js";
import { pacedLatencies, within } from "../../pacing.js";
import { type Figure, figure } from "../../report.js";
import { percentile } from "../../rounds.js";
import { STORM_CONFIG, type StormOrder } from "../../storm.js";
import type { SuiteOptions } from "../suite.js";

const RATE = 50;
const MACHINES = 500;
const SLOWER_AT_MOST = 2;
const MEETS_WITHIN_MS = 60_000;

export async function stormFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const seconds = isQuick ? 2 : 60;
  const home = join(dir, "storm");
  mkdirSync(home);
  const machines = new Machines(MACHINES, rng.fork());
  const reader = await startAgent(join(home, "reader"), [], STORM_CONFIG);
  const writer = await startAgent(join(home, "writer"), [reader.address], STORM_CONFIG);
  const order: StormOrder = { path: join(home, "storm"), peers: [reader.address, writer.address], seconds };
  const storm = new Worker(new URL("../../storm.worker.js", import.meta.url), { workerData: order });
  try {
    await within(MEETS_WITHIN_MS, once(storm, "message"), "the storming agent");
    const pair = new WatchedPair(writer, reader, machines);
    const calm = await pacedLatencies(() => pair.deliver(), RATE, isQuick ? seconds : seconds / 3);
    const over = new Promise<{ bytes: number }>((resolve) => storm.once("message", resolve));
    storm.postMessage("begin");
    const stormy = await pacedLatencies(() => pair.deliver(), RATE, seconds);
    const { bytes } = await over;
    const p99 = (name: string, latencies: readonly number[]) => {
      return {
        name: `others' writes → seen, ${name}, p99 at ${RATE}/s`,
        unit: "ms",
        values: [percentile(latencies, 0.99)],
      };
    };
    const [before, during] = [p99("calm", calm), p99("one origin storms", stormy)];
    const times = bytes / seconds / STORM_CONFIG.gossip.originBytesPerSecond;
    const goal = { of: "ratio", atLeast: 1 / SLOWER_AT_MOST } as const;
    return [
      figure({ name: "the storm, times its budget", unit: "×", values: [times] }),
      figure(before),
      figure(during, { versus: before, better: "less", goal }),
    ];
  } finally {
    await storm.terminate();
    await writer.stop();
    await reader.stop();
  }
}

/** Rows written at one agent and seen at the other; what else arrives there is not looked at. */
class WatchedPair {
  readonly #writer: BenchAgent;
  readonly #machines: Machines;
  readonly #awaited = new Map<SqlValue, { readonly writes: SqlValue; readonly seen: (seenMs: number) => void }>();
  #written = 0;

  constructor(writer: BenchAgent, reader: BenchAgent, machines: Machines) {
    this.#writer = writer;
    this.#machines = machines;
    reader.runtime.onEvent((event) => {
      if (event.kind === "changed") for (const { key } of event.rows) this.#look(reader, key);
    });
  }

  async deliver(): Promise<number> {
    const machine = this.#machines.change(this.#written++ % MACHINES);
    const { id = null, writes = null } = machine.write.values;
    const delivered = new Promise<number>((seen) => this.#awaited.set(id, { writes, seen }));
    const outcome = await this.#writer.runtime.write(rowsWrite([machine]));
    if (!outcome.ok) throw outcome.error;
    return delivered;
  }

  #look({ runtime }: BenchAgent, key: readonly SqlValue[]): void {
    const [id = null] = key;
    const awaited = this.#awaited.get(id);
    if (awaited === undefined) return;
    const [row] = runtime.store.read("SELECT writes FROM machines WHERE id = ?", key);
    if (row?.[0] !== awaited.writes) return;
    this.#awaited.delete(id);
    awaited.seen(performance.now());
  }
}
