/**
 * The live queries' worker, seen from the main thread: requests wait here and go out one at a time, each with a
 * deadline. A worker past it is ended, and the next request finds a new one.
 */
import { Worker } from "node:worker_threads";
import { AppError, messageOf, must } from "@patina/base";
import type { LiveReply, LiveRequest, LiveThreadData } from "./protocol.js";

export interface LiveJob {
  /** Called when its turn has come; undefined when there is nothing to ask any more. */
  request(): LiveRequest | undefined;
  /** Called before the next request goes out. Not called for a failure. */
  onReply(reply: LiveReply): void;
  /** The request failed, its thread was ended, or it was never made. */
  onFailure(error: AppError | undefined): void;
}

export class LiveThread {
  readonly #data: LiveThreadData;
  readonly #deadlineMs: number;
  readonly #onEnded: (error: AppError) => void;
  readonly #jobs: LiveJob[] = [];
  #worker: Worker | undefined;
  #isReady = false;
  #closed: AppError | undefined;
  #running: { readonly job: LiveJob; readonly deadline: NodeJS.Timeout } | undefined;

  /** `onEnded` is called when a worker was lost, with every query on it, before the request it was at fails. */
  constructor(data: LiveThreadData, deadlineMs: number, onEnded: (error: AppError) => void) {
    this.#data = data;
    this.#deadlineMs = deadlineMs;
    this.#onEnded = onEnded;
  }

  get queued(): number {
    return this.#jobs.length;
  }

  add(job: LiveJob): void {
    if (this.#closed !== undefined) return job.onFailure(this.#closed);
    this.#jobs.push(job);
    this.#pump();
  }

  /** Ends the worker, and its queries, when it can no longer be trusted. What waits is served by a new one. */
  restart(error: AppError): void {
    if (this.#worker !== undefined) this.#lose(error);
  }

  /** Ends the worker and fails whatever waits. */
  async close(error: AppError): Promise<void> {
    const worker = this.#worker;
    this.#closed = error;
    for (const job of this.#jobs.splice(0)) job.onFailure(error);
    this.#lose(error);
    await worker?.terminate();
  }

  #pump(): void {
    while (this.#running === undefined && this.#jobs.length > 0) {
      this.#worker ??= this.#spawn();
      if (!this.#isReady) return;
      const job = must(this.#jobs.shift(), "a job");
      const request = job.request();
      if (request === undefined) {
        job.onFailure(undefined);
        continue;
      }
      this.#running = { job, deadline: setTimeout(() => this.#onDeadline(job), this.#deadlineMs) };
      this.#worker.postMessage(request);
    }
  }

  #spawn(): Worker {
    const worker = new Worker(new URL("./live-queries.worker.js", import.meta.url), { workerData: this.#data });
    const isCurrent = (): boolean => worker === this.#worker;
    worker.on("message", (reply: LiveReply) => (isCurrent() ? this.#onReply(reply) : undefined));
    worker.on("error", (thrown) => (isCurrent() ? this.#onCrash(messageOf(thrown)) : undefined));
    worker.on("exit", (status) => (isCurrent() ? this.#onCrash(`it exited with ${status}`) : undefined));
    return worker;
  }

  #onReply(reply: LiveReply): void {
    if (reply.kind === "ready") {
      this.#isReady = true;
      return this.#pump();
    }
    const { job, deadline } = must(this.#running, "the request that was answered");
    clearTimeout(deadline);
    this.#running = undefined;
    if (reply.kind === "failed") job.onFailure(errorOf(reply.failure));
    else job.onReply(reply);
    this.#pump();
  }

  /** Timers run before messages are read: after a stall of this thread the answer may be here already. */
  #onDeadline(job: LiveJob): void {
    setImmediate(() => {
      if (this.#running?.job !== job) return;
      const message = `a live query took longer than ${this.#deadlineMs} ms; all of them were ended`;
      this.#lose(new AppError("sql-deadline", message, { hint: "Subscribe again, with a cheaper query." }));
      this.#pump();
    });
  }

  /** A worker that cannot even start fails whoever waits, or it would be started over and over. */
  #onCrash(why: string): void {
    const error = new AppError("internal", `the live queries' thread failed: ${why}`, { hint: "Subscribe again." });
    if (!this.#isReady) for (const job of this.#jobs.splice(0)) job.onFailure(error);
    this.#lose(error);
    this.#pump();
  }

  #lose(error: AppError): void {
    const worker = this.#worker;
    const running = this.#running;
    this.#worker = undefined;
    this.#isReady = false;
    this.#running = undefined;
    void worker?.terminate();
    clearTimeout(running?.deadline);
    this.#onEnded(error);
    running?.job.onFailure(error);
  }
}

function errorOf({
  code,
  message,
  hint,
}: {
  code: AppError["code"];
  message: string;
  hint: string | undefined;
}): AppError {
  return new AppError(code, message, hint === undefined ? {} : { hint });
}
