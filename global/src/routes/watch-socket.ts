/**
 * Serves `/v1/watch`: many apps on one WebSocket. What waits for a client that does not read is bounded: its watches lag, and one
 * that goes on sending what is refused is let go.
 */
import { asAppError, AppError } from "@patina/base";
import { type ApiSocket, problemOf, type SocketHandler } from "@patina/api";
import { z } from "zod";
import type { Watcher, Watches } from "../watch/watches.js";

/** Apps watched on one socket. */
const APPS_PER_SOCKET_MAX = 500;
/** With those that were unwatched and have not ended yet, since they were just opening, or their reader does not read. */
const WATCHES_PER_SOCKET_MAX = 2 * APPS_PER_SOCKET_MAX;
/** Of a socket whose reader does not read: then no event is taken, and the watches lag instead. */
const BUFFERED_BYTES_MAX = 1 << 20;

const request = z.union([
  z.strictObject({ watch: z.string().min(1).max(255), from: z.string().max(64).optional() }),
  z.strictObject({ unwatch: z.string().min(1).max(255) }),
]);

export function watchSocket(watches: Watches): SocketHandler {
  return (socket) => void new WatchSocket(watches, socket);
}

/** What one message asked for. Each is another: an app may be watched again before the watch before has opened. */
interface Following {
  /** Undefined until it is open. */
  watcher: Watcher | undefined;
}

class WatchSocket {
  readonly #watches: Watches;
  readonly #socket: ApiSocket;
  readonly #open = new Map<string, Following>();
  /** Those that have not ended, with those of apps that were unwatched meanwhile. */
  #underWay = 0;

  constructor(watches: Watches, socket: ApiSocket) {
    this.#watches = watches;
    this.#socket = socket;
    socket.onMessage((text) => this.#onMessage(text));
    socket.onClose(() => this.#onClose());
  }

  #onMessage(text: string): void {
    try {
      const wanted = parse(text);
      if ("unwatch" in wanted) this.#unwatch(wanted.unwatch);
      else this.#watch(wanted.watch, wanted.from);
    } catch (thrown) {
      this.#refuse({ error: problemOf(asAppError(thrown)) });
    }
  }

  #watch(app: string, from: string | undefined): void {
    if (this.#open.has(app)) return;
    if (this.#open.size >= APPS_PER_SOCKET_MAX || this.#underWay >= WATCHES_PER_SOCKET_MAX) {
      throw new AppError("too-many", `${APPS_PER_SOCKET_MAX} apps on one socket`, {
        hint: "Unwatch some, or open another socket.",
      });
    }
    const following: Following = { watcher: undefined };
    this.#open.set(app, following);
    this.#underWay++;
    void this.#follow(app, from, following)
      .catch((thrown: unknown) => this.#refuse({ app, error: problemOf(asAppError(thrown)) }))
      .finally(() => {
        this.#underWay--;
        if (this.#open.get(app) === following) this.#open.delete(app);
      });
  }

  #unwatch(app: string): void {
    this.#open.get(app)?.watcher?.close();
    this.#open.delete(app);
  }

  async #follow(app: string, from: string | undefined, following: Following): Promise<void> {
    const watcher = await this.#watches.open(app, from);
    if (this.#open.get(app) !== following) return watcher.close(); // Unwatched, or gone, meanwhile.
    following.watcher = watcher;
    for (;;) {
      await this.#socket.drained(BUFFERED_BYTES_MAX);
      const events = await watcher.next();
      if (events.length === 0) return;
      for (const event of events) this.#socket.send(JSON.stringify({ app, ...event }));
    }
  }

  #refuse(document: unknown): void {
    if (this.#socket.waitingBytes > BUFFERED_BYTES_MAX) this.#socket.end();
    else this.#socket.send(JSON.stringify(document));
  }

  #onClose(): void {
    for (const { watcher } of this.#open.values()) watcher?.close();
    this.#open.clear();
  }
}

function parse(text: string): z.infer<typeof request> {
  const hint = 'Send {"watch": "APP"}, with "from" to go on after a token, or {"unwatch": "APP"}.';
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new AppError("bad-request", "the message is not JSON", { cause, hint });
  }
  const parsed = request.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `the message is not what this socket takes: ${z.prettifyError(parsed.error)}`, {
    hint,
  });
}
