/**
 * Streams over the virtual network. They keep their order, take time to open, can be read slowly, and break: then what was
 * sent and had not arrived is lost, and each end learns of it in its own time.
 */
import type { NodeInput } from "@patina/agent";
import type { Paths } from "./paths.js";

/** One end of a stream, as the process that uses it names it. */
export interface StreamEnd {
  readonly node: number;
  readonly life: number;
  readonly stream: string;
}

interface Connection {
  readonly dialer: StreamEnd;
  readonly acceptor: StreamEnd;
  /** Earliest time the next frame may arrive at the dialer and at the acceptor: order is kept. */
  readonly clearMs: { dialer: number; acceptor: number };
  readonly unread: { dialer: number; acceptor: number };
}

/** Hands an input to an end at its time. It is for that end's process only, and `isStill` is asked once more then. */
export type DeliverToEnd = (end: StreamEnd, atMs: number, input: NodeInput, isStill?: () => boolean) => void;

/** The refusal of a dial that nobody answers. */
const UNREACHABLE_AFTER_MS = 20;
/** A broken stream is noticed at once, by a reset, or only when keep-alives fail. */
const NOTICED_AFTER_MS = 1;

export class Streams {
  readonly #paths: Paths;
  readonly #deliver: DeliverToEnd;
  readonly #connections = new Map<string, Connection>();
  readonly #bytesPerMs = new Map<number, number>();
  #accepted = 0;

  constructor(paths: Paths, deliver: DeliverToEnd) {
    this.#paths = paths;
    this.#deliver = deliver;
  }

  /** How fast a node reads; 0 for as fast as it comes. */
  readSlowly(node: number, bytesPerMs: number): void {
    if (bytesPerMs === 0) this.#bytesPerMs.delete(node);
    else this.#bytesPerMs.set(node, bytesPerMs);
  }

  /** `to` undefined: nobody listens there. */
  open(dialer: StreamEnd, to: { readonly node: number; readonly life: number } | undefined, nowMs: number): void {
    const { stream } = dialer;
    if (to === undefined || !this.#paths.areJoined(dialer.node, to.node)) {
      return this.#deliver(dialer, nowMs + UNREACHABLE_AFTER_MS, {
        kind: "stream-closed",
        stream,
        reason: "unreachable",
        isRefused: to === undefined,
      });
    }
    const acceptor = { ...to, stream: `in-${++this.#accepted}` };
    const atMs = this.#paths.arrival(to.node, dialer.node, this.#paths.arrival(dialer.node, to.node, nowMs));
    const connection = {
      dialer,
      acceptor,
      clearMs: { dialer: atMs, acceptor: atMs },
      unread: { dialer: 0, acceptor: 0 },
    };
    for (const end of [dialer, acceptor]) this.#connections.set(keyOf(end), connection);
    const isStill = (): boolean => this.#isOpen(connection);
    this.#deliver(acceptor, atMs, { kind: "stream-opened", stream: acceptor.stream, direction: "in" }, isStill);
    this.#deliver(dialer, atMs, { kind: "stream-opened", stream, direction: "out" }, isStill);
  }

  /** Sends a frame; `isLost`, and it only seems so to the sender. Nothing when the stream is no more. */
  send(from: StreamEnd, bytes: Uint8Array, nowMs: number, isLost = false): void {
    const connection = this.#connections.get(keyOf(from));
    if (connection === undefined) return;
    const side = connection.dialer === from || keyOf(connection.dialer) === keyOf(from) ? "acceptor" : "dialer";
    const to = connection[side];
    const readMs = bytes.length / (this.#bytesPerMs.get(to.node) ?? Infinity);
    const atMs = Math.max(this.#paths.arrival(from.node, to.node, nowMs), connection.clearMs[side]) + readMs;
    connection.clearMs[side] = atMs;
    connection.unread[side] += bytes.length;
    const isStill = (): boolean => this.#isOpen(connection);
    if (!isLost) this.#deliver(to, atMs, { kind: "stream-frame", stream: to.stream, bytes }, isStill);
    const isFlushed = (): boolean => {
      connection.unread[side] -= bytes.length;
      return isStill();
    };
    this.#deliver(from, atMs, { kind: "stream-flushed", stream: from.stream, bytes: bytes.length }, isFlushed);
  }

  /** A process closes its end; the other end learns of it. */
  close(end: StreamEnd, reason: string, nowMs: number): void {
    const connection = this.#connections.get(keyOf(end));
    this.#deliver(end, nowMs + NOTICED_AFTER_MS, { kind: "stream-closed", stream: end.stream, reason });
    if (connection !== undefined) this.#break(connection, nowMs, "closed", end);
  }

  /** Breaks every stream of a node, in the middle of whatever it carried. */
  reset(node: number, nowMs: number, noticedAfterMs = NOTICED_AFTER_MS): void {
    for (const connection of this.#all()) {
      if (connection.dialer.node === node || connection.acceptor.node === node) {
        this.#break(connection, nowMs + noticedAfterMs - NOTICED_AFTER_MS, "reset");
      }
    }
  }

  /** Breaks every stream whose way is cut. */
  breakParted(nowMs: number): void {
    for (const connection of this.#all()) {
      const { dialer, acceptor } = connection;
      if (!this.#paths.areJoined(dialer.node, acceptor.node)) this.#break(connection, nowMs, "parted");
    }
  }

  /** The ends of open streams at a node. */
  endsAt(node: number): StreamEnd[] {
    return this.#all().flatMap(({ dialer, acceptor }) => [dialer, acceptor].filter((end) => end.node === node));
  }

  /** The most that is under way on one stream, sent and not read yet. */
  get unreadBytesMax(): number {
    let most = 0;
    for (const { unread } of this.#connections.values()) most = Math.max(most, unread.dialer, unread.acceptor);
    return most;
  }

  #break(connection: Connection, nowMs: number, reason: string, but?: StreamEnd): void {
    for (const end of [connection.dialer, connection.acceptor]) {
      this.#connections.delete(keyOf(end));
      if (but !== undefined && keyOf(end) === keyOf(but)) continue;
      this.#deliver(end, nowMs + NOTICED_AFTER_MS, { kind: "stream-closed", stream: end.stream, reason });
    }
  }

  #isOpen(connection: Connection): boolean {
    return this.#connections.get(keyOf(connection.dialer)) === connection;
  }

  #all(): Connection[] {
    return [...new Set(this.#connections.values())];
  }
}

function keyOf({ node, life, stream }: StreamEnd): string {
  return `${node}.${life}/${stream}`;
}
