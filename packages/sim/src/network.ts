/**
 * The virtual network: datagrams that are delayed, lost, duplicated and reordered; streams that keep their order, take
 * time to open, and break when the network parts. Who can reach whom is one function of the current partition.
 */
import { must, type Rng } from "@patina/base";

export interface NetworkFaults {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  readonly lossProbability: number;
  readonly duplicateProbability: number;
}

export const PERFECT_NETWORK: NetworkFaults = {
  delayMinMs: 0.5,
  delayMaxMs: 2,
  lossProbability: 0,
  duplicateProbability: 0,
};

/** One end of a stream. Ends are named by the node that uses them. */
export interface StreamEnd {
  readonly node: number;
  readonly stream: string;
}

interface Connection {
  readonly dialer: StreamEnd;
  readonly acceptor: StreamEnd;
  /** Earliest time the next frame may arrive in each direction: order is kept. */
  readonly clearMs: Map<number, number>;
}

export class Network {
  readonly #rng: Rng;
  readonly #connections = new Map<string, Connection>();
  #faults: NetworkFaults;
  #blocked: ReadonlySet<string> = new Set();
  #accepted = 0;

  constructor(rng: Rng, faults: NetworkFaults) {
    this.#rng = rng;
    this.#faults = faults;
  }

  set faults(faults: NetworkFaults) {
    this.#faults = faults;
  }

  /** Cuts the given directions, `from>to`; everything else is open. Streams over a cut break: see `broken`. */
  partition(blocked: ReadonlySet<string>): void {
    this.#blocked = blocked;
  }

  canReach(from: number, to: number): boolean {
    return !this.#blocked.has(`${from}>${to}`);
  }

  /** When copies of a datagram arrive: none when lost, two when duplicated. */
  datagramArrivals(from: number, to: number, nowMs: number): number[] {
    if (!this.canReach(from, to) || this.#rng.chance(this.#faults.lossProbability)) return [];
    const arrivals = [nowMs + this.#delayMs()];
    if (this.#rng.chance(this.#faults.duplicateProbability)) arrivals.push(nowMs + this.#delayMs());
    return arrivals;
  }

  /** A stream opens: both ends, and when. Undefined when the way is cut. */
  connect(
    dialer: StreamEnd,
    acceptor: number,
    nowMs: number,
  ): { connection: string; acceptor: StreamEnd; atMs: number } | undefined {
    if (!this.canReach(dialer.node, acceptor) || !this.canReach(acceptor, dialer.node)) return undefined;
    const end = { node: acceptor, stream: `in-${++this.#accepted}` };
    const id = keyOf(dialer);
    this.#connections.set(id, { dialer, acceptor: end, clearMs: new Map() });
    this.#connections.set(keyOf(end), must(this.#connections.get(id), "a connection just made"));
    return { connection: id, acceptor: end, atMs: nowMs + this.#delayMs() + this.#delayMs() };
  }

  /** Where a frame sent from this end arrives, and when; undefined when the stream is no more. */
  frameArrival(from: StreamEnd, nowMs: number): { to: StreamEnd; atMs: number } | undefined {
    const connection = this.#connections.get(keyOf(from));
    if (connection === undefined) return undefined;
    const to = peerOf(connection, from);
    const atMs = Math.max(nowMs + this.#delayMs(), connection.clearMs.get(to.node) ?? 0);
    connection.clearMs.set(to.node, atMs);
    return { to, atMs };
  }

  isOpen(end: StreamEnd): boolean {
    return this.#connections.has(keyOf(end));
  }

  /** Ends a stream; the other end, if there still was one. */
  close(end: StreamEnd): StreamEnd | undefined {
    const connection = this.#connections.get(keyOf(end));
    if (connection === undefined) return undefined;
    this.#connections.delete(keyOf(connection.dialer));
    this.#connections.delete(keyOf(connection.acceptor));
    return peerOf(connection, end);
  }

  /** Ends of streams that the current partition cuts, or that end at a node. */
  broken(node?: number): StreamEnd[] {
    const ends: StreamEnd[] = [];
    for (const { dialer, acceptor } of new Set(this.#connections.values())) {
      const isCut = !this.canReach(dialer.node, acceptor.node) || !this.canReach(acceptor.node, dialer.node);
      if (isCut || dialer.node === node || acceptor.node === node) ends.push(dialer);
    }
    return ends;
  }

  #delayMs(): number {
    return this.#rng.between(this.#faults.delayMinMs, this.#faults.delayMaxMs);
  }
}

function keyOf({ node, stream }: StreamEnd): string {
  return `${node}/${stream}`;
}

function peerOf({ dialer, acceptor }: Connection, end: StreamEnd): StreamEnd {
  return keyOf(dialer) === keyOf(end) ? acceptor : dialer;
}
