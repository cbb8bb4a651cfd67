/** etcd as a peer: three servers that agree on every write and flush it to disk; written at one, watched at another. */
import { join } from "node:path";
import { must } from "@patina/base";
import { Etcd3 } from "etcd3";
import { freePort } from "../loopback.js";
import { Servers } from "./servers.js";

export const ETCD_SERVER = "etcd";
const SIZE = 3;
const PREFIX = "machine-";
const ATTEMPTS = 100;

export class EtcdCluster {
  readonly #servers = new Servers();
  readonly #clients: Etcd3[] = [];
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #padding: string;

  private constructor(valueBytes: number) {
    this.#padding = "x".repeat(valueBytes);
  }

  /** Waits until it takes writes. Throws with nothing left running. */
  static async start(dir: string, valueBytes: number): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(valueBytes);
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
    await this.#put(n);
    return seen;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await this.#servers.stop();
  }

  async #start(dir: string): Promise<void> {
    const members = [];
    for (let i = 0; i < SIZE; i++) {
      const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
      members.push({ name: `etcd-${i}`, client, peer });
    }
    const all = members.map(({ name, peer }) => `${name}=${peer}`).join(",");
    for (const { name, client, peer } of members) {
      const clients = ["--listen-client-urls", client, "--advertise-client-urls", client];
      const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", all];
      this.#servers.spawn(ETCD_SERVER, ["--name", name, "--data-dir", "data", ...clients, ...peers], join(dir, name));
      this.#clients.push(new Etcd3({ hosts: client, dialTimeout: 1000 }));
    }
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#put(0);
        break;
      } catch (thrown) {
        if (attempt === ATTEMPTS) throw thrown; // Until a leader is elected, and the last server listens.
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    const watcher = await must(this.#clients[1], "a second client").watch().prefix(PREFIX).create();
    watcher.on("put", ({ value }) => this.#onSeen(Number.parseInt(value.toString(), 10)));
  }

  async #put(n: number): Promise<void> {
    await must(this.#clients[0], "a client")
      .put(`${PREFIX}${n % 1000}`)
      .value(`${n} ${this.#padding}`);
  }

  #onSeen(n: number): void {
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}
