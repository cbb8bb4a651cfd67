/** WebSockets beside the routes of an API, on the same port: one handler a path, and limits on what a client may send. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";

/** One client's socket, as its handler sees it. */
export interface ApiSocket {
  send(text: string): void;
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
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const handler = handlers.get(new URL(request.url ?? "/", "http://any").pathname);
    if (handler === undefined) {
      stream.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n");
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => handler(apiSocketOf(socket)));
  });
  return () => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  };
}

function apiSocketOf(socket: WebSocket): ApiSocket {
  socket.on("error", () => socket.terminate()); // A message too large, or noise: `close` follows.
  return {
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
