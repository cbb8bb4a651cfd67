/**
 * Copies of the database for checkpoints, in a thread of its own that steps back for all others: a gigabyte takes seconds of a
 * core, and those who write meanwhile must not feel it.
 */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { workerData } from "node:worker_threads";
import { brotliCompressSync, constants } from "node:zlib";
import { parseHoldings } from "@patina/base";
import { countBeyond, takeDelta, takeImage } from "@patina/store";
import { answer } from "../threads/answering.js";
import type { CopyRequest } from "./protocol.js";

const { path } = workerData as { path: string };

/** As `nice` has it: every other thread that has something to do goes first. */
const NICE = 15;

/** On Linux a thread has a priority of its own; elsewhere this one is as good as any. */
if (process.platform === "linux") {
  const thread = readlinkSync("/proc/thread-self").split("/").at(-1);
  setPriority(Number(thread), NICE);
}

function perform(request: CopyRequest): unknown {
  switch (request.kind) {
    case "take-image":
      return takeImage(path, request.imagePath);
    case "take-delta":
      return takeDelta(path, parseHoldings(request.since), request.deltaPath);
    case "count-beyond":
      return countBeyond(path, parseHoldings(request.since));
    case "pack":
      return brotliCompressSync(request.plain, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 1,
          [constants.BROTLI_PARAM_SIZE_HINT]: request.plain.length,
        },
      });
  }
}

answer(perform);
