/** An agent in a thread of its own that, when told to, writes fifty times its budget; then it says how much that was. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { must, Rng } from "@patina/base";
import { newSeed } from "@patina/runtime";
import { startAgent } from "./agent.js";
import { rowsWrite } from "./databases.js";
import { Machines } from "./machines.js";
import { STORM_CONFIG, STORM_TIMES, type StormOrder } from "./storm.js";

const ROWS = 50; // a transaction
const MACHINES = 2000;

const port = must(parentPort, "a parent thread");
const order = workerData as StormOrder;
const agent = await startAgent(order.path, order.peers, STORM_CONFIG);
const machines = new Machines(MACHINES, new Rng(newSeed()));
await new Promise<void>((resolve) => {
  agent.runtime.observe(() => {
    if (agent.runtime.agent.reachable().length === order.peers.length) resolve();
  });
});
port.postMessage("met");
await once(port, "message");

const perSecond = STORM_TIMES * STORM_CONFIG.gossip.originBytesPerSecond;
const startMs = performance.now();
let [bytes, written] = [0, 0];
for (let spentMs = 0; spentMs < order.seconds * 1000; spentMs = performance.now() - startMs) {
  const aheadMs = (bytes * 1000) / perSecond - spentMs;
  if (aheadMs > 0) await delay(aheadMs);
  const batch = Array.from({ length: ROWS }, () => machines.change(written++ % MACHINES));
  const outcome = await agent.runtime.write(rowsWrite(batch));
  if (!outcome.ok) throw outcome.error;
  bytes += outcome.change?.body.length ?? 0;
}
port.postMessage({ bytes });
