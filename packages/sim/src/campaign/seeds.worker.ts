/** Runs one thread's share of the seeds. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "@patina/base";
import { runSeed } from "../run/run-seed.js";
import type { Share } from "./campaign.js";

const { from, end, step, isTwice } = workerData as Share;
const port = must(parentPort, "a parent");

for (let seed = from; seed < end; seed += step) {
  const result = runSeed(seed);
  const isRepeated = !isTwice || runSeed(seed).traceHash === result.traceHash;
  port.postMessage(
    isRepeated ? result : { ...result, problems: [...result.problems, "X1: the second run had another trace"] },
  );
}
