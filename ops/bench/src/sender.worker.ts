/** An agent in a thread of its own that has many rows to tell of, so that its work is not on the receiver's thread. */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { must, Rng } from "@patina/base";
import { newSeed } from "@patina/runtime";
import { type BenchAgent, startAgent } from "./agent.js";
import { rowsWrite } from "./databases.js";
import { Machines } from "./machines.js";
import type { SenderOrder, SenderReady } from "./sender.js";

const ROWS = 100; // a transaction
const IN_FLIGHT = 8;

const port = must(parentPort, "a parent thread");
const order = workerData as SenderOrder;
const machines = new Machines(order.rows, new Rng(newSeed()));

async function writeAll({ runtime }: BenchAgent): Promise<void> {
  const batches = machines.batches(ROWS);
  const writeInTurn = async (): Promise<void> => {
    for (const batch of batches) {
      const outcome = await runtime.write(rowsWrite(batch));
      if (!outcome.ok) throw outcome.error;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, writeInTurn));
}

/** Resolves when the agent can exchange frames with the other one. */
async function met({ runtime }: BenchAgent): Promise<void> {
  return new Promise((resolve) => {
    runtime.observe(() => {
      if (runtime.agent.reachable().length > 0) resolve();
    });
  });
}

let agent: BenchAgent;
if (order.mode === "catch-up") {
  const alone = await startAgent(order.path, []);
  await writeAll(alone);
  await alone.stop();
  agent = await startAgent(order.path, [order.peer]);
} else {
  agent = await startAgent(order.path, [order.peer]);
  await met(agent);
  await writeAll(agent);
}
const { store } = agent.runtime;
port.postMessage({ origin: store.origin, versions: store.holdings().get(store.origin)?.head ?? 0 } satisfies SenderReady); // prettier-ignore
await once(port, "message"); // The other has it all.
await agent.stop();
port.close();
