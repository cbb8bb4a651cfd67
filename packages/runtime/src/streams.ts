/**
 * Streams between members, as WebSockets: ordered frames over TCP, or over mutually authenticated TLS where there is a
 * gate. It moves bytes and decides nothing.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import { messageOf, type NodeId } from "@patina/base";
import { type Credentials, dialRefusalOf, Gate, refusalOf } from "@patina/security";
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from "ws";
import { listenError, parseAddress } from "./address.js";

/** A frame is bounded by what anti-entropy packs into one, plus one oversized change. */
const FRAME_BYTES_MAX = 32 << 20;
const CONNECT_TIMEOUT_MS = 3000;
/**
 * A stream on which nothing comes is asked for a sign of life, and ended after so many in vain: behind a broken path TCP
 * would wait longer and longer between its attempts, and go on waiting once the path is whole. In nine seconds even
 * 0.25 Mbit/s carry what is given to a socket at a time.
 */
export interface Patience {
  readonly askEveryMs: number;
  readonly unansweredMax: number;
}

const defaultPatience: Patience = { askEveryMs: 3000, unansweredMax: 3 };
/** More than the largest cluster opens, greeted or not. Beyond it a connection is closed at once. */
const CONNECTIONS_MAX = 16_384;
/**
 * One frame of a stream a turn of the event loop. Otherwise all that one read from the socket brings, dozens of frames, is
 * handled in a row, and timers, datagrams and writes wait for all of it. The socket is not read on meanwhile.
 */
const FRAMES = {
  maxPayload: FRAME_BYTES_MAX,
  perMessageDeflate: false,
  allowSynchronousEvents: false,
  /** The other end may be out of reach: until its stream is closed, a member is not dialed again. */
  closeTimeout: 1000,
} as const;

export interface StreamEvents {
  /** `node` is whom a certificate has proved to be at the other end. */
  readonly onOpened: (stream: string, direction: "in" | "out", node: NodeId | undefined) => void;
  readonly onFrame: (stream: string, bytes: Uint8Array) => void;
  readonly onFlushed: (stream: string, bytes: number) => void;
  /** `isRefused`: nothing listens there. */
  readonly onClosed: (stream: string, reason: string, isRefused: boolean) => void;
  /** The other end's certificate was not good enough, or there was none. */
  readonly onRefused: (from: string, reason: string) => void;
}

export class Streams {
  readonly #listener: Server | SecureServer;
  readonly #upgrades = new WebSocketServer({ noServer: true, ...FRAMES });
  readonly #gate: Gate | undefined;
  readonly #events: StreamEvents;
  readonly #sockets = new Map<string, WebSocket>();
  /** How often streams have been asked for a sign of life since the last one. */
  readonly #unanswered = new Map<WebSocket, number>();
  /** What the other ends have shown, where there is a gate. */
  readonly #proofs = new Map<WebSocket, X509Certificate>();
  readonly #asking: NodeJS.Timeout;
  #accepted = 0;

  private constructor(
    listener: Server | SecureServer,
    gate: Gate | undefined,
    events: StreamEvents,
    { askEveryMs, unansweredMax }: Patience,
  ) {
    this.#listener = listener;
    this.#gate = gate;
    this.#events = events;
    this.#asking = setInterval(() => this.#askForLife(unansweredMax), askEveryMs);
    listener.on("upgrade", (request, socket, head) => this.#accept(request, socket, head));
    listener.on("tlsClientError", (thrown: NodeJS.ErrnoException, socket: TLSSocket) => {
      events.onRefused(addressOf(socket), refusalOf(thrown, socket));
    });
  }

  /** Listens; without `credentials`, in plaintext. Throws `port-in-use` or `config-invalid`. */
  static async open(
    address: string,
    events: StreamEvents,
    credentials?: Credentials,
    patience = defaultPatience,
  ): Promise<Streams> {
    const { host, port } = parseAddress(address);
    const gate = credentials === undefined ? undefined : new Gate(credentials);
    const listener = createListener(gate);
    listener.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", (thrown) => reject(listenError(thrown, "gossip", address)));
      listener.listen(port, host, resolve);
    });
    return new Streams(listener, gate, events, patience);
  }

  /** `node` is who must answer there, where certificates can tell. At an address that nobody can have, nobody answers. */
  dial(stream: string, node: NodeId, address: string): void {
    try {
      this.#dial(stream, node, address);
    } catch (thrown) {
      setImmediate(() => this.#events.onClosed(stream, messageOf(thrown), false));
    }
  }

  #dial(stream: string, node: NodeId, address: string): void {
    const options: ClientOptions = { ...FRAMES, handshakeTimeout: CONNECT_TIMEOUT_MS };
    const gate = this.#gate;
    if (gate === undefined) return this.#adopt(stream, new WebSocket(`ws://${address}/`, options), undefined);
    let secured: TLSSocket | undefined;
    const createConnection = () => (secured = gate.dial({ ...parseAddress(address), node }));
    const socket = new WebSocket(`wss://${address}/`, { ...options, createConnection });
    socket.on("error", (thrown) => {
      const refused = dialRefusalOf(thrown, secured);
      if (refused !== undefined) this.#events.onRefused(address, refused);
    });
    this.#adopt(stream, socket, node);
    socket.on("open", () => this.#noteProof(socket, secured));
  }

  send(stream: string, bytes: Uint8Array): void {
    const socket = this.#sockets.get(stream);
    if (socket?.readyState !== WebSocket.OPEN) return; // It is closing: `onClosed` says so, and the frame is lost with it.
    socket.send(bytes, () => this.#events.onFlushed(stream, bytes.length));
  }

  close(stream: string): void {
    this.#sockets.get(stream)?.close();
  }

  /** For streams from now on. Those that are open stay, but for those whom no authority of the new ones has signed for. */
  replaceCredentials(credentials: Credentials): void {
    const gate = this.#gate;
    if (gate === undefined || !("setSecureContext" in this.#listener)) return;
    const trustsOthers = gate.replace(credentials);
    this.#listener.setSecureContext(gate.serverOptions());
    if (!trustsOthers) return;
    for (const [socket, certificate] of this.#proofs) if (!gate.isTrusted(certificate)) socket.close();
  }

  async stop(): Promise<void> {
    clearInterval(this.#asking);
    for (const socket of this.#sockets.values()) socket.terminate();
    this.#listener.closeAllConnections();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const admitted = this.#gate?.admit(socket) ?? { node: undefined };
    if ("refused" in admitted) {
      this.#events.onRefused(addressOf(request.socket), admitted.refused);
      socket.on("error", () => undefined); // It may be gone before it has read the answer.
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n", () => socket.destroy());
      return;
    }
    this.#upgrades.handleUpgrade(request, socket, head, (accepted) => {
      const stream = `in-${++this.#accepted}`;
      this.#adopt(stream, accepted, admitted.node);
      this.#noteProof(accepted, socket);
      this.#events.onOpened(stream, "in", admitted.node);
    });
  }

  #noteProof(socket: WebSocket, secured: Duplex | undefined): void {
    const certificate = secured instanceof TLSSocket ? secured.getPeerX509Certificate() : undefined;
    if (certificate !== undefined) this.#proofs.set(socket, certificate);
  }

  #askForLife(unansweredMax: number): void {
    for (const socket of this.#sockets.values()) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      const asked = this.#unanswered.get(socket) ?? 0;
      if (asked >= unansweredMax) socket.terminate();
      else {
        this.#unanswered.set(socket, asked + 1);
        socket.ping();
      }
    }
  }

  #adopt(stream: string, socket: WebSocket, node: NodeId | undefined): void {
    this.#sockets.set(stream, socket);
    let reason = "closed";
    let isRefused = false;
    socket.on("open", () => this.#events.onOpened(stream, "out", node)); // One that was accepted is open already.
    socket.on("message", (data: RawData) => {
      this.#unanswered.delete(socket);
      this.#events.onFrame(stream, data as Buffer);
    });
    socket.on("pong", () => this.#unanswered.delete(socket));
    socket.on("error", (thrown: NodeJS.ErrnoException) => {
      reason = thrown.message; // "close" follows and carries it on.
      isRefused = thrown.code === "ECONNREFUSED";
    });
    socket.on("close", () => {
      this.#sockets.delete(stream);
      this.#unanswered.delete(socket);
      this.#proofs.delete(socket);
      this.#events.onClosed(stream, reason, isRefused);
    });
  }
}

function createListener(gate: Gate | undefined): Server | SecureServer {
  /** Nothing is served here but streams. */
  const refuse: RequestListener = (_request, response) => {
    response.writeHead(426, { connection: "close" }).end();
  };
  const limits = { headersTimeout: CONNECT_TIMEOUT_MS, requestTimeout: CONNECT_TIMEOUT_MS };
  if (gate === undefined) return createServer(limits, refuse);
  const options = { ...gate.serverOptions(), ...limits, handshakeTimeout: CONNECT_TIMEOUT_MS };
  return createSecureServer(options, refuse);
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? "a peer that is gone" : `${remoteAddress}:${remotePort}`;
}
