/** The near end of an HTTP load: it asks the thread that makes the requests, and waits for what it counted. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

export interface LoadOrder {
  readonly port: number;
  /** Each with one request under way at any time. */
  readonly connections: number;
  readonly durationMs: number;
  /** Asked for in turn. */
  readonly paths: readonly string[];
}

export interface LoadReport {
  readonly responses: number;
  readonly elapsedMs: number;
}

export class HttpLoad {
  readonly #worker = new Worker(new URL("./http-load.worker.js", import.meta.url));

  /** Keep-alive requests to a loopback server; every answer must be a 200. Throws what the thread throws. */
  async requestsPerSecond(order: LoadOrder): Promise<number> {
    this.#worker.postMessage(order);
    const [report] = (await once(this.#worker, "message")) as [LoadReport];
    return (report.responses * 1000) / report.elapsedMs;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
