/** The thread of an agent that makes copies of its database: images, deltas, and the chunks of both. One thing at a time. */
import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Delta, ImageFacts } from "@patina/store";
import { AskedThread } from "../threads/asked-thread.js";
import type { CopyRequest, ReadChunk } from "./protocol.js";

/**
 * What has been copied goes to the disk this often. Left to the kernel, it would go all at once, and a write that is waited
 * for would stand behind it.
 */
const FLUSH_EVERY_MS = 10;

export class Copier {
  readonly #thread: AskedThread<CopyRequest>;

  constructor(path: string) {
    this.#thread = new AskedThread(new URL("./copier.worker.js", import.meta.url), { path }, "copying");
  }

  /** Writes an image of the database to `imagePath`, which must not exist. */
  async takeImage(imagePath: string): Promise<ImageFacts> {
    let isDone = false;
    const taking = this.#thread.ask({ kind: "take-image", imagePath }).finally(() => (isDone = true));
    await Promise.all([taking, flushing(imagePath, () => isDone)]);
    return (await taking) as ImageFacts;
  }

  /** Writes what there is beyond `since` (by origin, the versions held as text) to the new file `deltaPath`. */
  async takeDelta(since: Readonly<Record<string, string>>, deltaPath: string): Promise<Delta> {
    return (await this.#thread.ask({ kind: "take-delta", since, deltaPath })) as Delta;
  }

  /** By table, how many rows there are beyond `since`. */
  async countBeyond(since: Readonly<Record<string, string>>): Promise<Readonly<Record<string, number>>> {
    return (await this.#thread.ask({ kind: "count-beyond", since })) as Record<string, number>;
  }

  /** A chunk of a file, hashed and packed. Asked for in order, from the first to the one that is not full: it ends the file. */
  async readChunk(filePath: string, index: number, chunkBytes: number): Promise<ReadChunk> {
    return (await this.#thread.ask({ kind: "read-chunk", filePath, index, chunkBytes })) as ReadChunk;
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}

async function flushing(path: string, isDone: () => boolean): Promise<void> {
  let file: FileHandle | undefined;
  try {
    while (!isDone()) {
      await new Promise((resolve) => setTimeout(resolve, FLUSH_EVERY_MS));
      if (file === undefined && existsSync(path)) file = await open(path, "r+");
      await file?.datasync();
    }
  } finally {
    await file?.close();
  }
}
