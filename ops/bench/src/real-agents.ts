/**
 * Regional agents as processes of their own on loopback, secured, and used as a client uses them: an object is put at one
 * over HTTP, and seen by a subscription at another.
 */
import { Agent as HttpAgent, request } from "node:http";
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { Cluster, type Member } from "@patina/scenarios";
import { placesOnLoopback } from "./loopback.js";

const ROWS = 1000;
const CONNECTIONS = 64;

export class RealAgents {
  readonly cluster: Cluster;
  readonly #connections = new HttpAgent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #padding: string;
  readonly #ended = new AbortController();

  private constructor(cluster: Cluster, valueBytes: number) {
    this.cluster = cluster;
    this.#padding = "x".repeat(valueBytes);
  }

  /** Starts them and waits until they know each other and a subscription is open. Throws with nothing left running. */
  static async start(dir: string, size: number, valueBytes: number): Promise<RealAgents> {
    const home = join(dir, `agents-${size}`);
    mkdirSync(home);
    const agents = new RealAgents(await Cluster.create(await placesOnLoopback(size), size, home), valueBytes);
    try {
      await agents.cluster.start();
      await agents.#watch(agents.cluster.member(1));
      return agents;
    } catch (thrown) {
      await agents.stop();
      throw thrown;
    }
  }

  /** Resolves with the time at which the subscriber at another agent was told of it. */
  async deliver(n: number): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#awaited.set(n, resolve));
    await this.#put({ id: `machine-${n % ROWS}`, app: "bench", address: this.#padding, updated_ms: n });
    return seen;
  }

  /** Bytes that all of them have given to sockets for each other. */
  async sentBytes(): Promise<number> {
    const each = await Promise.all(this.cluster.members.map((member) => member.metric("patina_sent_bytes_total")));
    return each.reduce((sum, bytes) => sum + bytes, 0);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#connections.destroy();
    await Promise.all(this.cluster.members.map((member) => member.kill()));
  }

  async #put(row: object): Promise<void> {
    const { hostname, port } = new URL(this.cluster.member(0).client.url);
    const body = JSON.stringify(row);
    await new Promise<void>((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": body.length };
      const put = request(
        { hostname, port, method: "PUT", path: "/v1/tables/machines/rows", agent: this.#connections, headers },
        (response) => {
          response.resume().once("end", () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`a put was answered with ${response.statusCode}`));
          });
        },
      );
      put.once("error", reject).end(body);
    });
  }

  /** Over a bare request, as the puts are: a `fetch` and its web streams would be a part of what is measured. */
  async #watch({ client }: Member): Promise<void> {
    const { hostname, port } = new URL(client.url);
    const order = { hostname, port, method: "POST", path: "/v1/subscriptions?skip_rows=true" };
    await new Promise<void>((resolve, reject) => {
      const subscription = request({ ...order, signal: this.#ended.signal }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`a subscription was answered with ${response.statusCode}`));
        let rest = "";
        response.setEncoding("utf8").on("data", (piece: string) => (rest = this.#takeLines(rest + piece, resolve)));
        // Once it is open, this is its end with the run: nobody waits for it any more.
        response.once("error", reject).once("end", () => reject(new Error("a subscription ended")));
      });
      subscription.once("error", reject).end(JSON.stringify("SELECT id, updated_ms FROM machines"));
    });
  }

  /** What is left after the last line end. */
  #takeLines(text: string, onReady: () => void): string {
    const lines = text.split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line) as { change?: [string, number, [string, number], number]; eoq?: unknown };
      if (event.eoq !== undefined) onReady();
      if (event.change !== undefined) this.#onSeen(event.change[2][1]);
    }
    return rest;
  }

  #onSeen(n: number): void {
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}
