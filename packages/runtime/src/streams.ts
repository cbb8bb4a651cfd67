/** Streams between members, as WebSockets: ordered frames over TCP. It moves bytes and decides nothing. */
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { listenError, parseAddress } from "./address.js";

/** A frame is bounded by what anti-entropy packs into one, plus one oversized change. */
const FRAME_BYTES_MAX = 32 << 20;
const CONNECT_TIMEOUT_MS = 3000;
/**
 * One frame of a stream a turn of the event loop. Otherwise all that one read from the socket brings, dozens of frames, is
 * handled in a row, and timers, datagrams and writes wait for all of it. The socket is not read on meanwhile.
 */
const FRAMES = { maxPayload: FRAME_BYTES_MAX, perMessageDeflate: false, allowSynchronousEvents: false } as const;

export interface StreamEvents {
  readonly onOpened: (stream: string, direction: "in" | "out") => void;
  readonly onFrame: (stream: string, bytes: Uint8Array) => void;
  readonly onFlushed: (stream: string, bytes: number) => void;
  readonly onClosed: (stream: string, reason: string) => void;
}

export class Streams {
  readonly #server: WebSocketServer;
  readonly #events: StreamEvents;
  readonly #sockets = new Map<string, WebSocket>();
  #accepted = 0;

  private constructor(server: WebSocketServer, events: StreamEvents) {
    this.#server = server;
    this.#events = events;
    server.on("connection", (socket) => this.#adopt(`in-${++this.#accepted}`, socket, "in"));
  }

  /** Listens. Throws `port-in-use` or `config-invalid`. */
  static async open(address: string, events: StreamEvents): Promise<Streams> {
    const { host, port } = parseAddress(address);
    const server = new WebSocketServer({ host, port, ...FRAMES });
    await new Promise<void>((resolve, reject) => {
      server.once("listening", resolve);
      server.once("error", (thrown) => reject(listenError(thrown, "gossip", address)));
    });
    return new Streams(server, events);
  }

  dial(stream: string, address: string): void {
    const options = { ...FRAMES, handshakeTimeout: CONNECT_TIMEOUT_MS };
    this.#adopt(stream, new WebSocket(`ws://${address}/`, options), "out");
  }

  send(stream: string, bytes: Uint8Array): void {
    const socket = this.#sockets.get(stream);
    if (socket?.readyState !== WebSocket.OPEN) return; // It is closing: `onClosed` says so, and the frame is lost with it.
    socket.send(bytes, () => this.#events.onFlushed(stream, bytes.length));
  }

  close(stream: string): void {
    this.#sockets.get(stream)?.close();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.values()) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #adopt(stream: string, socket: WebSocket, direction: "in" | "out"): void {
    this.#sockets.set(stream, socket);
    let reason = "closed";
    if (direction === "in") this.#events.onOpened(stream, direction);
    else socket.on("open", () => this.#events.onOpened(stream, direction));
    socket.on("message", (data: RawData) => this.#events.onFrame(stream, data as Buffer));
    socket.on("error", (thrown) => (reason = thrown.message)); // "close" follows and carries it on.
    socket.on("close", () => {
      this.#sockets.delete(stream);
      this.#events.onClosed(stream, reason);
    });
  }
}
