/**
 * The physical limit of gossip between Node processes: one frame to a WebSocket server on loopback and back; with a gate,
 * over the TLS that members speak.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { NodeId } from "@patina/base";
import type { Gate } from "@patina/security";
import { type RawData, WebSocket, WebSocketServer } from "ws";

export class WsEcho {
  readonly #server: WebSocketServer;
  readonly #listener: ReturnType<typeof createServer | typeof createSecureServer>;
  readonly #client: WebSocket;
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #frameBytes: number;

  private constructor(
    server: WebSocketServer,
    listener: ReturnType<typeof createServer | typeof createSecureServer>,
    client: WebSocket,
    frameBytes: number,
  ) {
    this.#server = server;
    this.#listener = listener;
    this.#client = client;
    this.#frameBytes = frameBytes;
    client.on("message", (data: RawData) => this.#onMessage(data as Buffer));
  }

  /** `secured` guards both ends, which are one node. */
  static async start(frameBytes: number, secured?: { readonly gate: Gate; readonly node: NodeId }): Promise<WsEcho> {
    const listener = secured === undefined ? createServer() : createSecureServer(secured.gate.serverOptions());
    const server = new WebSocketServer({ server: listener, perMessageDeflate: false });
    server.on("connection", (socket) => socket.on("message", (data: RawData) => socket.send(data as Buffer)));
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const [host, { port }] = ["127.0.0.1", listener.address() as AddressInfo];
    const client =
      secured === undefined
        ? new WebSocket(`ws://${host}:${port}/`, { perMessageDeflate: false })
        : new WebSocket(`wss://${host}:${port}/`, {
            perMessageDeflate: false,
            createConnection: () => secured.gate.dial({ host, port, node: secured.node }),
          });
    await once(client, "open");
    return new WsEcho(server, listener, client, frameBytes);
  }

  /** Resolves with the time at which the frame came back: a full round trip. */
  async deliver(n: number): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#awaited.set(n, resolve));
    const frame = Buffer.alloc(this.#frameBytes);
    frame.writeUInt32LE(n);
    this.#client.send(frame);
    return seen;
  }

  async stop(): Promise<void> {
    this.#client.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #onMessage(frame: Buffer): void {
    const n = frame.readUInt32LE();
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}
