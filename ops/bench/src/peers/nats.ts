/**
 * NATS JetStream's key-value buckets as a peer: three servers, three replicas on disk; put by way of one server, watched by
 * way of another. It agrees on every write, and leaves the flushing to the operating system.
 */
import { join } from "node:path";
import { must } from "@patina/base";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { freePort } from "../loopback.js";
import { Servers } from "./servers.js";

export const NATS_SERVER = "nats-server";
const SIZE = 3;
const BUCKET = "machines";
const ATTEMPTS = 200;

export class NatsCluster {
  readonly #servers = new Servers();
  readonly #connections: NatsConnection[] = [];
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #padding: string;
  #bucket: KV | undefined;

  private constructor(valueBytes: number) {
    this.#padding = "x".repeat(valueBytes);
  }

  /** Waits until it takes writes. Throws with nothing left running. */
  static async start(dir: string, valueBytes: number): Promise<NatsCluster> {
    const cluster = new NatsCluster(valueBytes);
    try {
      await cluster.#start(dir);
      return cluster;
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
  }

  /** Resolves with the time at which the watcher at another server was told. */
  async deliver(n: number): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#awaited.set(n, resolve));
    await this.#bucket?.put(`machine-${n % 1000}`, `${n} ${this.#padding}`);
    return seen;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.splice(0).map((connection) => connection.close()));
    await this.#servers.stop();
  }

  async #start(dir: string): Promise<void> {
    const members = [];
    for (let i = 0; i < SIZE; i++) members.push({ port: await freePort(), route: await freePort(), name: `nats-${i}` });
    const routes = members.map(({ route }) => `nats://127.0.0.1:${route}`).join(",");
    for (const { port, route, name } of members) {
      const cluster = ["--cluster_name", "bench", "--cluster", `nats://127.0.0.1:${route}`, "--routes", routes];
      const home = join(dir, name);
      this.#servers.spawn(NATS_SERVER, ["-a", "127.0.0.1", "-p", String(port), "-n", name, ...cluster, "-js", "-sd", home], home); // prettier-ignore
    }
    for (const { port } of members) {
      const server = `127.0.0.1:${port}`;
      this.#connections.push(await patiently(() => connect({ servers: server, reconnect: false })));
    }
    const [writer, watcher] = this.#connections.map((connection) => new Kvm(connection));
    this.#bucket = await patiently(() => must(writer, "a writer").create(BUCKET, { replicas: SIZE }));
    await this.#watch(await patiently(() => must(watcher, "a watcher").open(BUCKET)));
  }

  async #watch(bucket: KV): Promise<void> {
    const entries = await bucket.watch();
    void (async () => {
      for await (const entry of entries) this.#onSeen(Number.parseInt(entry.string(), 10));
    })();
  }

  #onSeen(n: number): void {
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}

/** Servers take a moment to listen, and to agree on a leader. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (thrown) {
      if (n === ATTEMPTS) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
