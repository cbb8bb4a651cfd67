/** Copies of the database for checkpoints, in a thread of its own that steps back for all others. */
import { workerData } from "node:worker_threads";
import { assert, parseHoldings } from "@patina/base";
import { countBeyond, takeDelta, takeImage } from "@patina/store";
import { answer } from "../threads/answering.js";
import { stepBack } from "../threads/step-back.js";
import { ChunkFile } from "./chunk-file.js";
import type { CopyRequest, ReadChunk } from "./protocol.js";

const { path } = workerData as { path: string };
let file: ChunkFile | undefined;

function perform(request: CopyRequest): unknown {
  switch (request.kind) {
    case "take-image":
      return takeImage(path, request.imagePath);
    case "take-delta":
      return takeDelta(path, parseHoldings(request.since), request.deltaPath);
    case "count-beyond":
      return countBeyond(path, parseHoldings(request.since));
    case "read-chunk":
      return readChunk(request.filePath, request.index, request.chunkBytes);
  }
}

/** The first chunk begins a file, whatever was read before it; the last ends it. */
function readChunk(filePath: string, index: number, chunkBytes: number): ReadChunk {
  if (index === 0) {
    file?.close();
    file = new ChunkFile(filePath, chunkBytes);
  }
  assert(
    file?.path === filePath && file.isNext(index, chunkBytes),
    `chunk ${index} of ${filePath} is asked for in turn`,
  );
  const chunk = file.read();
  if (chunk.bytes === chunkBytes) return chunk;
  file.close();
  file = undefined;
  return chunk;
}

stepBack();
answer(perform);
