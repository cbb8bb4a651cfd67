/**
 * A WebSocket client without a library (RFC 6455): a test can have it send without ever reading, and see what was said
 * once it reads. Messages of up to 125 bytes; no fragments.
 */
import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";

const TEXT = 0x81;
const MASKED = 0x80;
const KEY = Buffer.alloc(16).toString("base64");

export class PlainWebSocket {
  readonly received: unknown[] = [];
  readonly #socket: Socket;
  #rest: Buffer;

  private constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    this.#rest = head;
    socket.on("error", () => socket.destroy()); // The server ends it: `close` follows.
  }

  static async open(port: number, path: string): Promise<PlainWebSocket> {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": KEY,
    };
    const asked = request({ host: "127.0.0.1", port, path, headers });
    asked.end();
    const [, socket, head] = (await once(asked, "upgrade")) as [unknown, Socket, Buffer];
    return new PlainWebSocket(socket, head);
  }

  /** Reads from now on. */
  read(): void {
    this.#socket.on("data", (bytes: Buffer) => this.#onData(bytes));
  }

  /** Resolves once the kernel has all of it. */
  async send(...texts: readonly string[]): Promise<void> {
    const frames = texts.map((text) => {
      const bytes = Buffer.from(text);
      // The mask is all zeros: the text goes as it is.
      return Buffer.concat([Buffer.from([TEXT, MASKED | bytes.length, 0, 0, 0, 0]), bytes]);
    });
    await new Promise<void>((resolve) => this.#socket.write(Buffer.concat(frames), () => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (let end = frameEnd(this.#rest, at); end !== undefined; end = frameEnd(this.#rest, at)) {
      this.received.push(JSON.parse(this.#rest.toString("utf8", end.begin, end.end)));
      at = end.end;
    }
    this.#rest = this.#rest.subarray(at);
  }
}

/** Where the text of the frame at `at` is; undefined while some of it is still to come. */
function frameEnd(bytes: Buffer, at: number): { readonly begin: number; readonly end: number } | undefined {
  if (bytes.length < at + 10) return undefined; // No message of a test is shorter than that with its head.
  const short = bytes.readUInt8(at + 1);
  const [head, length] =
    short === 126
      ? [4, bytes.readUInt16BE(at + 2)]
      : short === 127
        ? [10, Number(bytes.readBigUInt64BE(at + 2))]
        : [2, short];
  const begin = at + head;
  return bytes.length < begin + length ? undefined : { begin, end: begin + length };
}
