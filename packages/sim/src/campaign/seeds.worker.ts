/** Runs one thread's share of the seeds. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "@patina/base";
import { SIMULATIONS } from "../run/simulation.js";
import type { Share } from "./campaign.js";

const { what, from, end, step, isTwice } = workerData as Share;
const port = must(parentPort, "a parent");
const simulation = SIMULATIONS[what];

for (let seed = from; seed < end; seed += step) {
  const outcome = simulation.run(seed);
  const isRepeated = !isTwice || simulation.run(seed).traceHash === outcome.traceHash;
  const problems = isRepeated ? outcome.problems : [...outcome.problems, "X1: the second run had another trace"];
  port.postMessage({ ...outcome, problems });
}
