/**
 * Redis as a peer: a primary that flushes every write to disk, as Patina does, and a replica on which the write is
 * seen. The client SETs and PUBLISHes on the one and subscribes to the other, over bare sockets.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../loopback.js";

export const REDIS_SERVER = "redis-server";
const CHANNEL = "seen";
/** What a subscriber is sent of a number that was published. */
const MESSAGE = /\*3\r\n\$7\r\nmessage\r\n\$\d+\r\nseen\r\n\$\d+\r\n(\d+)\r\n/g;
const POLL_MS = 50;
const POLLS_MAX = 200;

export class RedisPair {
  readonly #servers: ChildProcess[] = [];
  readonly #sockets: Socket[] = [];
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #value: Buffer;
  #primary: Socket | undefined;

  private constructor(valueBytes: number) {
    this.#value = Buffer.alloc(valueBytes, "x");
  }

  /** Starts both servers and waits until the replica follows. Throws with nothing left running. */
  static async start(dir: string, valueBytes: number): Promise<RedisPair> {
    const pair = new RedisPair(valueBytes);
    try {
      const [primary, replica] = [await freePort(), await freePort()];
      const durable = ["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"];
      pair.#spawn(join(dir, "redis-primary"), primary, ...durable);
      pair.#spawn(join(dir, "redis-replica"), replica, "--replicaof", "127.0.0.1", String(primary));
      await pair.#waitForReplica(replica);
      pair.#primary = (await pair.#dial(primary)).resume(); // Its answers are not looked at.
      await pair.#subscribe(replica);
      return pair;
    } catch (thrown) {
      await pair.stop();
      throw thrown;
    }
  }

  /** Resolves with the time at which the subscriber on the replica was told; the value is there by then. */
  async deliver(n: number): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#awaited.set(n, resolve));
    this.#primary?.write(command("SET", `key-${n % 1000}`, this.#value));
    this.#primary?.write(command("PUBLISH", CHANNEL, String(n)));
    return seen;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
    for (const server of this.#servers.splice(0)) {
      if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) continue;
      const gone = once(server, "exit");
      server.kill("SIGKILL");
      await gone;
    }
  }

  #spawn(dir: string, port: number, ...more: string[]): void {
    mkdirSync(dir, { recursive: true });
    const args = ["--bind", "127.0.0.1", "--port", String(port), "--dir", dir, "--save", "", ...more];
    const server = spawn(REDIS_SERVER, args, { stdio: "ignore" });
    server.on("error", () => undefined); // It did not start: dialling it fails, and says so.
    process.once("exit", () => server.kill("SIGKILL"));
    this.#servers.push(server);
  }

  async #waitForReplica(port: number): Promise<void> {
    for (let poll = 0; poll < POLLS_MAX; poll++) {
      const socket = await this.#dial(port);
      socket.write(command("INFO", "replication"));
      const [answer] = (await once(socket, "data")) as [Buffer];
      socket.destroy();
      if (answer.includes("master_link_status:up")) return;
      await delay(POLL_MS);
    }
    throw new Error("the redis replica does not follow its primary");
  }

  /** A server takes a moment to listen: refused is asked again. */
  async #dial(port: number): Promise<Socket> {
    for (let poll = 0; ; poll++) {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      try {
        await once(socket, "connect");
        socket.on("error", () => undefined); // A connection that breaks loses deliveries, which are waited for only so long.
        this.#sockets.push(socket);
        return socket;
      } catch (thrown) {
        if (poll === POLLS_MAX) throw thrown;
        await delay(POLL_MS);
      }
    }
  }

  async #subscribe(port: number): Promise<void> {
    const socket = await this.#dial(port);
    socket.setEncoding("latin1").write(command("SUBSCRIBE", CHANNEL));
    await once(socket, "data"); // The confirmation.
    let received = "";
    socket.on("data", (text: string) => {
      received += text;
      let end = 0;
      for (const match of received.matchAll(MESSAGE)) {
        this.#onSeen(Number(match[1]));
        end = match.index + match[0].length;
      }
      received = received.slice(end);
    });
  }

  #onSeen(n: number): void {
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}

/** One command in RESP: an array of bulk strings. */
function command(...parts: readonly (string | Buffer)[]): Buffer {
  const bulks = parts.flatMap((part) => {
    const bytes = Buffer.from(part);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...bulks]);
}
