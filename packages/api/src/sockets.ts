/** WebSockets beside the routes of an API, on the same port: one handler a path, and limits on what a client may send. */
import { type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type RawData, WebSocket, WebSocketServer } from "ws";

/** One client's socket, as its handler sees it. */
export interface ApiSocket {
  /** What was sent and its reader has not read. */
  readonly waitingBytes: number;
  send(text: string): void;
  /** At once, with what waits for its reader. */
  end(): void;
  /** Resolves once no more than so many bytes wait to be sent, or it is closed. */
  drained(bytesMax: number): Promise<void>;
  onMessage(listener: (text: string) => void): void;
  onClose(listener: () => void): void;
}

export type SocketHandler = (socket: ApiSocket) => void;

/** A request on a socket names an app and little more. */
const MESSAGE_BYTES_MAX = 4096;
const LOOK_EVERY_MS = 10;

/** Closes every socket when called. */
export function serveSockets(server: Server, handlers: ReadonlyMap<string, SocketHandler>): () => void {
  if (handlers.size === 0) return () => undefined; // Who listens for upgrades is given every request that offers one.
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  /** Node gives these up: the server's own end would wait for them for ever. */
  const refused = new Set<Socket>();
  server.on("upgrade", (request: IncomingMessage, stream: Socket, head: Buffer) => {
    stream.on("error", () => stream.destroy()); // It may be gone before it is answered.
    const [path = "/"] = (request.url ?? "/").split("?");
    const handler = handlers.get(path);
    if (handler !== undefined && isOfWebSocket(request)) {
      sockets.handleUpgrade(request, stream, head, (socket) => handler(apiSocketOf(socket)));
      return;
    }
    refused.add(stream);
    stream.once("close", () => refused.delete(stream));
    answerWithoutUpgrade(server, request, stream);
  });
  return () => {
    for (const socket of sockets.clients) socket.terminate();
    for (const stream of refused) stream.destroy();
    sockets.close();
  };
}

function isOfWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * As if nothing had been offered, which is a server's right (RFC 9110, 7.8): clients offer `h2c` with ordinary requests. Node
 * reads no body after such an offer.
 */
function answerWithoutUpgrade(server: Server, request: IncomingMessage, stream: Socket): void {
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  if (hasBody || isOfWebSocket(request)) {
    const status = hasBody ? "400 Bad Request" : "404 Not Found";
    stream.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => stream.destroy());
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(stream);
  response.once("finish", () => stream.end(() => stream.destroy()));
  server.emit("request", request, response);
}

function apiSocketOf(socket: WebSocket): ApiSocket {
  socket.on("error", () => socket.terminate()); // A message too large, or noise: `close` follows.
  return {
    get waitingBytes() {
      return socket.bufferedAmount;
    },
    end: () => socket.terminate(),
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    drained: async (bytesMax) => {
      while (socket.readyState === WebSocket.OPEN && socket.bufferedAmount > bytesMax) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    },
    onMessage: (listener) => {
      socket.on("message", (data: RawData) => listener(textOf(data)));
    },
    onClose: (listener) => {
      socket.on("close", listener);
    },
  };
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return data instanceof ArrayBuffer ? Buffer.from(data).toString() : data.toString();
}
