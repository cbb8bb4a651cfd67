/** The maintenance thread of an agent: keeps the write-ahead log short without stalling writers, and adds up what is in it. */
import { Worker } from "node:worker_threads";
import { AppError } from "@patina/base";
import type { Bucket, ScrubFinding } from "@patina/store";
import type { MaintenanceReply, MaintenanceRequest } from "./protocol.js";

const CHECKPOINT_WAL_EVERY_MS = 500;
/** Every so often the log is also cut to nothing, which needs a moment without readers. */
const TRUNCATE_EVERY = 20;
/** A log longer than this is cut as soon as may be. Far below where the store stops taking writes (`walBytesMax`). */
const WAL_LONG_BYTES = 256 << 20;

export class Maintenance {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #tickets = 0;
  #rounds = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(path: string, walLongBytes = WAL_LONG_BYTES) {
    const workerData = { path, walLongBytes };
    this.#worker = new Worker(new URL("./maintenance.worker.js", import.meta.url), { workerData });
    this.#worker.on("message", (reply: MaintenanceReply) => this.#onReply(reply));
    this.#worker.on("error", (thrown) =>
      this.#failAll(new AppError("internal", `maintenance failed: ${thrown.message}`)),
    );
    this.#scheduleCheckpoint();
  }

  /** Recomputes every row's hash. No findings: the file holds what its digest says. */
  async scrub(): Promise<readonly ScrubFinding[]> {
    return ((await this.#ask({ kind: "scrub" })) as { findings: readonly ScrubFinding[] }).findings;
  }

  /** The rows of one bucket, and what they add up to. */
  async readBucket(table: string, bucket: number): Promise<Bucket> {
    return (await this.#ask({ kind: "read-bucket", table, bucket })) as Bucket;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#failAll(new AppError("not-ready", "the agent is stopping"));
    await this.#worker.terminate();
  }

  async #ask(request: MaintenanceRequest): Promise<unknown> {
    const ticket = ++this.#tickets;
    return new Promise((resolve, reject) => {
      this.#pending.set(ticket, { resolve, reject });
      this.#worker.postMessage({ ticket, request });
    });
  }

  #scheduleCheckpoint(): void {
    this.#timer = setTimeout(() => {
      const request = { kind: "checkpoint-wal", truncate: ++this.#rounds % TRUNCATE_EVERY === 0 } as const;
      // A checkpoint that finds the database busy is simply done by the next one.
      const again = (): void => (this.#isClosed ? undefined : this.#scheduleCheckpoint());
      this.#ask(request).then(again, again);
    }, CHECKPOINT_WAL_EVERY_MS);
  }

  #onReply(reply: MaintenanceReply): void {
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
