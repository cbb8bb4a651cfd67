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
  /** Of the answers, from the request to the last byte. */
  readonly p99Ms: number;
}

export interface HttpRate {
  readonly perSecond: number;
  readonly p99Ms: number;
}

export class HttpLoad {
  readonly #worker = new Worker(new URL("./http-load.worker.js", import.meta.url));

  /** Keep-alive requests to a loopback server; every answer must be a 200. Throws what the thread throws. */
  async run(order: LoadOrder): Promise<HttpRate> {
    this.#worker.postMessage(order);
    const [report] = (await once(this.#worker, "message")) as [LoadReport];
    return { perSecond: (report.responses * 1000) / report.elapsedMs, p99Ms: report.p99Ms };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
