/** The thread of an agent that makes copies of its database: images, deltas, and the packing of both. One thing at a time. */
import { open } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { AppError } from "@patina/base";
import type { Delta, ImageFacts } from "@patina/store";
import type { CopyReply, CopyRequest } from "./protocol.js";

/**
 * What has been copied goes to the disk this often. Left to the kernel, it would go all at once, and a write that is waited
 * for would stand behind it.
 */
const FLUSH_EVERY_MS = 50;

export class Copier {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #tickets = 0;

  constructor(path: string) {
    this.#worker = new Worker(new URL("./copier.worker.js", import.meta.url), { workerData: { path } });
    this.#worker.on("message", (reply: CopyReply) => this.#onReply(reply));
    this.#worker.on("error", (thrown) => this.#failAll(new AppError("internal", `copying failed: ${thrown.message}`)));
  }

  /** Writes an image of the database to `imagePath`, which must not exist. */
  async takeImage(imagePath: string): Promise<ImageFacts> {
    let isDone = false;
    const taking = this.#ask({ kind: "take-image", imagePath }).finally(() => (isDone = true));
    await Promise.all([taking, flushing(imagePath, () => isDone)]);
    return (await taking) as ImageFacts;
  }

  /** Writes what there is beyond `since` (by origin, the versions held as text) to the new file `deltaPath`. */
  async takeDelta(since: Readonly<Record<string, string>>, deltaPath: string): Promise<Delta> {
    return (await this.#ask({ kind: "take-delta", since, deltaPath })) as Delta;
  }

  /** By table, how many rows there are beyond `since`. */
  async countBeyond(since: Readonly<Record<string, string>>): Promise<Readonly<Record<string, number>>> {
    return (await this.#ask({ kind: "count-beyond", since })) as Record<string, number>;
  }

  /** The bytes as brotli packs them. */
  async pack(plain: Uint8Array): Promise<Uint8Array> {
    return (await this.#ask({ kind: "pack", plain })) as Uint8Array;
  }

  async close(): Promise<void> {
    this.#failAll(new AppError("not-ready", "the agent is stopping"));
    await this.#worker.terminate();
  }

  async #ask(request: CopyRequest): Promise<unknown> {
    const ticket = ++this.#tickets;
    return new Promise((resolve, reject) => {
      this.#pending.set(ticket, { resolve, reject });
      this.#worker.postMessage({ ticket, request });
    });
  }

  #onReply(reply: CopyReply): void {
    const pending = this.#pending.get(reply.ticket);
    this.#pending.delete(reply.ticket);
    if (reply.ok) return pending?.resolve(reply.result);
    const hint = reply.hint === undefined ? {} : { hint: reply.hint };
    pending?.reject(new AppError(reply.code, reply.message, hint));
  }

  #failAll(error: AppError): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

async function flushing(path: string, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    await new Promise((resolve) => setTimeout(resolve, FLUSH_EVERY_MS));
    const file = await open(path, "r+").catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === "ENOENT") return undefined; // It is not there yet, or not any more.
      throw thrown;
    });
    await file?.datasync().finally(() => file.close());
  }
}
