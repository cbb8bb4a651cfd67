/**
 * Stands between a client and an S3 server and spoils chosen exchanges. What it forwards, it forwards as it came, with
 * the client's Host header, so that signatures stay valid.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export type Fault =
  /** Any status with S3's error document. */
  | { readonly kind: "error"; readonly status: number; readonly code: string; readonly dateMs?: number }
  /** A document that no S3 server sends, in HTML unless said otherwise. */
  | { readonly kind: "page"; readonly status: number; readonly type?: string; readonly text?: string }
  /** The connection is closed before an answer. */
  | { readonly kind: "reset" }
  /** No answer, ever. */
  | { readonly kind: "hang" }
  /** The first half of the body, and no more of it; the connection stays. */
  | { readonly kind: "stall" }
  /** The first half of the body, and the connection is closed. */
  | { readonly kind: "truncate" }
  /** One bit of the answer's body is another. */
  | { readonly kind: "flip" }
  /** One bit of the request's body is another. */
  | { readonly kind: "flip-request" }
  /** The server does it, and the client never hears. */
  | { readonly kind: "lost-answer" }
  /** As a server that knows no precondition: the write succeeds. (The header is signed, so it cannot be taken out.) */
  | { readonly kind: "overwrite" };

export interface FaultProxy {
  readonly endpoint: string;
  /** From now on, `fault` happens to the first `times` exchanges for which `isHit`; undefined: to none. */
  set: (fault: Fault | undefined, options?: FaultOptions) => void;
  /** Exchanges since the last `set`. */
  readonly exchanges: number;
  stop: () => Promise<void>;
}

export interface FaultOptions {
  readonly times?: number;
  readonly isHit?: (method: string, path: string) => boolean;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  let rule: { fault: Fault | undefined; left: number; isHit: Required<FaultOptions>["isHit"] };
  let exchanges = 0;
  const set: FaultProxy["set"] = (fault, { times = Infinity, isHit = () => true } = {}) => {
    rule = { fault, left: times, isHit };
    exchanges = 0;
  };
  set(undefined);
  const server = createServer((asked, answer) => {
    exchanges++;
    const isDue = rule.left > 0 && rule.isHit(asked.method ?? "", asked.url ?? "");
    const fault = isDue ? rule.fault : undefined;
    if (fault !== undefined) rule.left--;
    exchange(new URL(target), asked, answer, fault).catch(() => answer.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set,
    get exchanges() {
      return exchanges;
    },
    stop: () => stop(server),
  };
}

async function exchange(target: URL, asked: IncomingMessage, answer: ServerResponse, fault?: Fault): Promise<void> {
  const body = await buffer(asked);
  switch (fault?.kind) {
    case "reset":
      return void answer.destroy();
    case "hang":
      return;
    case "overwrite":
      answer.writeHead(200, { etag: `"${createHash("md5").update(body).digest("hex")}"` }).end();
      return;
    case "page": {
      const { status, type = "text/html", text = "<html><h1>Please log in</h1></html>" } = fault;
      answer.writeHead(status, { "content-type": type }).end(text);
      return;
    }
    case "error": {
      const date = fault.dateMs === undefined ? {} : { date: new Date(fault.dateMs).toUTCString() };
      answer.writeHead(fault.status, { "content-type": "application/xml", ...date });
      answer.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>as the test asked</Message></Error>`);
      return;
    }
    default:
      return forward(target, asked, fault?.kind === "flip-request" ? flipped(body) : body, answer, fault);
  }
}

async function forward(
  target: URL,
  asked: IncomingMessage,
  body: Buffer,
  answer: ServerResponse,
  fault?: Fault,
): Promise<void> {
  const { hostname, port } = target;
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    const passed = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers }, resolve);
    passed.once("error", reject);
    passed.end(body);
  });
  const whole = await buffer(reply);
  if (fault?.kind === "lost-answer") return void answer.destroy();
  answer.writeHead(reply.statusCode ?? 500, reply.headers);
  const half = whole.subarray(0, whole.length >> 1);
  if (fault?.kind === "truncate") return void answer.write(half, () => answer.destroy());
  if (fault?.kind === "stall") return void answer.write(half);
  answer.end(fault?.kind === "flip" ? flipped(whole) : whole);
}

function flipped(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  if (changed.length > 0) changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
  return changed;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
