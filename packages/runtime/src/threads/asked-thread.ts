/** A thread that is asked one thing after another: requests go in, each gets its reply or its error, and none is left waiting. */
import { Worker } from "node:worker_threads";
import { AppError } from "@patina/base";
import type { ThreadReply } from "./answering.js";

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class AskedThread<Request> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #tickets = 0;

  /** `program` calls `answer`; `what` names its work in the error of a thread that ended. */
  constructor(program: URL, workerData: unknown, what: string) {
    this.#worker = new Worker(program, { workerData });
    this.#worker.on("message", (reply: ThreadReply) => this.#onReply(reply));
    this.#worker.on("error", (thrown) => this.#failAll(new AppError("internal", `${what} failed: ${thrown.message}`)));
  }

  /** What the thread answers. Throws what it throws, and `not-ready` when it is closed first. */
  async ask(request: Request): Promise<unknown> {
    const ticket = ++this.#tickets;
    return new Promise((resolve, reject) => {
      this.#waiting.set(ticket, { resolve, reject });
      this.#worker.postMessage({ ticket, request });
    });
  }

  async close(): Promise<void> {
    this.#failAll(new AppError("not-ready", "the agent is stopping"));
    await this.#worker.terminate();
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
