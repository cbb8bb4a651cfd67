/**
 * A thread that is asked one thing after another: requests go in, each gets its reply or its error, and none is left waiting.
 * One that ended by itself is followed by another when it is asked again.
 */
import { Worker } from "node:worker_threads";
import { AppError, messageOf } from "@patina/base";
import type { ThreadReply } from "./answering.js";

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class AskedThread<Request> {
  readonly #spawn: () => Worker;
  readonly #what: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #tickets = 0;
  #isClosed = false;

  /** `program` calls `answer`; `what` names its work in the error of a thread that ended. */
  constructor(program: URL, workerData: unknown, what: string) {
    this.#what = what;
    this.#spawn = () => new Worker(program, { workerData });
    this.#worker = this.#start();
  }

  /** What the thread answers. Throws what it throws, `internal` when it ended by itself, and `not-ready` once it is closed. */
  async ask(request: Request): Promise<unknown> {
    if (this.#isClosed) throw stopping();
    const ticket = ++this.#tickets;
    const worker = (this.#worker ??= this.#start());
    return new Promise((resolve, reject) => {
      this.#waiting.set(ticket, { resolve, reject });
      worker.postMessage({ ticket, request });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#failAll(stopping());
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = this.#spawn();
    worker.on("message", (reply: ThreadReply) => this.#onReply(reply));
    worker.on("error", (thrown) => this.#onEnded(worker, messageOf(thrown)));
    worker.on("exit", (status) => this.#onEnded(worker, `it exited with ${status}`));
    return worker;
  }

  #onEnded(worker: Worker, why: string): void {
    if (this.#worker !== worker) return; // Its error has been told, and its exit follows.
    this.#worker = undefined;
    this.#failAll(new AppError("internal", `${this.#what} failed: ${why}`, { hint: "Try again: it starts anew." }));
  }

  #onReply(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.ticket);
    this.#waiting.delete(reply.ticket);
    if (reply.ok) return waiting?.resolve(reply.result);
    const hint = reply.hint === undefined ? {} : { hint: reply.hint };
    waiting?.reject(new AppError(reply.code, reply.message, hint));
  }

  #failAll(error: AppError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function stopping(): AppError {
  return new AppError("not-ready", "the agent is stopping", { hint: "Ask another agent." });
}
