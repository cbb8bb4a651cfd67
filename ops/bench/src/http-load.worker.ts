/**
 * The thread that makes HTTP load: GET after GET on kept-alive connections, over bare sockets. A full HTTP client would
 * cost more than the server under test, and then it is the client that is measured.
 */
import { connect, type Socket } from "node:net";
import { parentPort } from "node:worker_threads";
import { must } from "@patina/base";
import { percentile } from "./rounds.js";
import type { LoadOrder, LoadReport } from "./http-load.js";

const HEAD_END = "\r\n\r\n";

const port = must(parentPort, "a parent thread");
port.on("message", (order: LoadOrder) => {
  run(order).then(
    (report) => port.postMessage(report),
    // Fails this thread, and with it the wait at the other end.
    (thrown: unknown) => setImmediate(() => { throw thrown; }), // prettier-ignore
  );
});

async function run({ port: serverPort, connections, durationMs, paths }: LoadOrder): Promise<LoadReport> {
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  let asked = 0;
  const nextPath = (): string | undefined => (performance.now() < endMs ? paths[asked++ % paths.length] : undefined);
  const timesMs: number[] = [];
  await Promise.all(
    Array.from({ length: connections }, () =>
      askInTurn(connect({ host: "127.0.0.1", port: serverPort, noDelay: true }), nextPath, timesMs),
    ),
  );
  const elapsedMs = performance.now() - startMs;
  return { responses: timesMs.length, elapsedMs, p99Ms: percentile(timesMs, 0.99) };
}

/** One request after the other until there is no next path. Notes how long each answer took. */
async function askInTurn(socket: Socket, nextPath: () => string | undefined, timesMs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let askedMs = 0;
    let received = "";
    const ask = (): void => {
      const path = nextPath();
      askedMs = performance.now();
      if (path !== undefined) return void socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1${HEAD_END}`);
      socket.removeAllListeners("close");
      socket.destroy();
      resolve();
    };
    socket.setEncoding("latin1"); // One character a byte, so that lengths are bytes.
    socket.on("data", (text: string) => {
      received += text;
      const length = responseLength(received);
      if (length === undefined || received.length < length) return;
      if (!received.startsWith("HTTP/1.1 200 ")) return void socket.destroy(new Error(received.slice(0, 200)));
      received = received.slice(length);
      timesMs.push(performance.now() - askedMs);
      ask();
    });
    socket.on("connect", ask);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed a connection that was in use")));
  });
}

/** Of the first response in the text; undefined while its head is not complete. */
function responseLength(text: string): number | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1];
  if (length === undefined) throw new Error(`a response without a length: ${text.slice(0, headEnd)}`);
  return headEnd + HEAD_END.length + Number(length);
}
