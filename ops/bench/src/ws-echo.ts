/** The physical limit of gossip between Node processes: one frame to a WebSocket server on loopback and back. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type RawData, WebSocket, WebSocketServer } from "ws";

export class WsEcho {
  readonly #server: WebSocketServer;
  readonly #client: WebSocket;
  readonly #awaited = new Map<number, (seenMs: number) => void>();
  readonly #frameBytes: number;

  private constructor(server: WebSocketServer, client: WebSocket, frameBytes: number) {
    this.#server = server;
    this.#client = client;
    this.#frameBytes = frameBytes;
    client.on("message", (data: RawData) => this.#onMessage(data as Buffer));
  }

  static async start(frameBytes: number): Promise<WsEcho> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    server.on("connection", (socket) => socket.on("message", (data: RawData) => socket.send(data as Buffer)));
    await once(server, "listening");
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, {
      perMessageDeflate: false,
    });
    await once(client, "open");
    return new WsEcho(server, client, frameBytes);
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
  }

  #onMessage(frame: Buffer): void {
    const n = frame.readUInt32LE();
    this.#awaited.get(n)?.(performance.now());
    this.#awaited.delete(n);
  }
}
