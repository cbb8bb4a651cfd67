/**
 * A whole cluster in virtual time, from one seed: the production agent and store on every node, one event at a time.
 * Same seed, same events, same trace; nothing here reads a clock or draws from any other chance.
 */
import { join } from "node:path";
import { AppError, hash32, type Now, Rng } from "@patina/base";
import type { AgentEvent, NodeEffect, NodeInput } from "@patina/agent";
import { EventQueue } from "./event-queue.js";
import { Network, PERFECT_NETWORK, type StreamEnd } from "./network.js";
import { type Fault, type Plan, planOf } from "./plan.js";
import { addressOf, indexOfAddress, SimNode, type WrapStore } from "./sim-node.js";
import { randomWrite } from "./workload.js";

type Event =
  /** For one process of one node: nobody's after a crash. */
  | { readonly kind: "input"; readonly node: number; readonly boot: number; readonly input: NodeInput }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "write" };

/** A write that its client was told is durable. */
export interface Acknowledged {
  readonly node: number;
  readonly ledgerId: string;
}

const EPOCH_MS = 1_790_000_000_000;

export class World {
  readonly plan: Plan;
  readonly nodes: readonly SimNode[];
  readonly acknowledged: Acknowledged[] = [];
  readonly events: { readonly node: number; readonly event: AgentEvent }[] = [];
  readonly #rng: Rng;
  readonly #network: Network;
  readonly #queue = new EventQueue<Event>();
  readonly #skewMs: readonly number[];
  readonly #tickets = new Map<number, string>();
  #nowMs = 0;
  #serial = 0;
  #steps = 0;
  #trace = 0;

  constructor(seed: number, home: string, wrapStore?: WrapStore) {
    this.#rng = new Rng(seed);
    this.plan = planOf(this.#rng.fork());
    this.#network = new Network(this.#rng.fork(), this.plan.network);
    const seeds = [addressOf(0), addressOf(1)];
    this.nodes = Array.from({ length: this.plan.nodes }, (_, index) => {
      const cluster = { name: "sim", generation: 1 };
      return new SimNode({
        index,
        home: join(home, `node-${index}`),
        cluster,
        seeds,
        rng: this.#rng.fork(),
        wrapStore,
      });
    });
    const skew = this.plan.clockSkewMaxMs;
    this.#skewMs = this.nodes.map(() => this.#rng.between(-skew, skew));
    for (const { atMs, fault } of this.plan.faults) this.#queue.push(atMs, { kind: "fault", fault });
    for (let i = 0; i < this.plan.writes; i++) {
      this.#queue.push(this.#rng.between(200, this.plan.faultsEndMs), { kind: "write" });
    }
  }

  /** Same seed, same trace: a fingerprint of every event so far, in order. */
  get traceHash(): string {
    return this.#trace.toString(16).padStart(8, "0");
  }

  get steps(): number {
    return this.#steps;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  start(): void {
    for (const node of this.nodes) this.#perform(node, node.start(this.#now(node.index)));
  }

  runUntil(endMs: number): void {
    for (;;) {
      const next = this.#queue.pop();
      if (next === undefined) break;
      if (next.atMs > endMs) {
        this.#queue.push(next.atMs, next.item);
        break;
      }
      this.#nowMs = next.atMs;
      this.#steps++;
      this.#handle(next.item);
    }
    this.#nowMs = endMs;
  }

  /** Everybody is up and reaches everybody, from now on. */
  heal(): void {
    this.#network.faults = PERFECT_NETWORK;
    this.#inject({ kind: "heal" });
    for (const { index } of this.nodes) this.#inject({ kind: "restart", node: index });
  }

  stop(): void {
    for (const node of this.nodes) node.stop();
  }

  #handle(event: Event): void {
    switch (event.kind) {
      case "fault":
        return this.#inject(event.fault);
      case "write":
        return this.#write();
      case "input": {
        const node = this.nodes[event.node];
        if (node === undefined || !node.isUp || node.boot !== event.boot) return;
        this.#note(event.node, event.input);
        this.#perform(node, node.handle(event.input, this.#now(event.node)));
      }
    }
  }

  #inject(fault: Fault): void {
    switch (fault.kind) {
      case "crash": {
        const node = this.nodes[fault.node];
        if (node?.isUp !== true) return;
        for (const end of this.#network.broken(fault.node)) this.#break(end);
        return node.crash();
      }
      case "restart": {
        const node = this.nodes[fault.node];
        if (node !== undefined && !node.isUp) this.#perform(node, node.start(this.#now(node.index)));
        return;
      }
      case "partition":
      case "heal":
        this.#network.partition(fault.kind === "heal" ? new Set() : fault.blocked);
        for (const end of this.#network.broken()) this.#break(end);
    }
  }

  #write(): void {
    const node = this.#rng.pick(this.nodes.filter(({ isUp }) => isUp));
    if (node === undefined) return;
    const ticket = this.#serial++;
    const { write, ledgerId } = randomWrite(this.#rng, ticket);
    this.#tickets.set(ticket, ledgerId);
    this.#trace = hash32(`write ${ticket} ${node.index}`, this.#trace);
    this.#perform(node, node.handle({ kind: "write", writes: [{ ticket, write }] }, this.#now(node.index)));
  }

  #perform(node: SimNode, effects: readonly NodeEffect[]): void {
    for (const effect of effects) this.#performOne(node, effect);
  }

  #performOne(node: SimNode, effect: NodeEffect): void {
    switch (effect.kind) {
      case "datagram": {
        const to = indexOfAddress(effect.to);
        for (const atMs of this.#network.datagramArrivals(node.index, to, this.#nowMs)) {
          this.#deliver(to, atMs, { kind: "datagram", from: node.address, bytes: effect.bytes });
        }
        return;
      }
      case "open-stream":
        return this.#openStream(node, effect.stream, indexOfAddress(effect.address));
      case "send":
        return this.#send({ node: node.index, stream: effect.stream }, effect.bytes);
      case "close-stream":
        return this.#break({ node: node.index, stream: effect.stream });
      case "wake":
        return this.#deliver(node.index, this.#nowMs + effect.afterMs, { kind: "wake", timer: effect.timer });
      case "outcome": {
        const ledgerId = this.#tickets.get(effect.ticket);
        if (!effect.outcome.ok) throw new AppError("internal", `write refused: ${effect.outcome.error.message}`);
        if (ledgerId !== undefined) this.acknowledged.push({ node: node.index, ledgerId });
        return;
      }
      case "event":
        this.events.push({ node: node.index, event: effect.event });
    }
  }

  #openStream(node: SimNode, stream: string, to: number): void {
    const dialer = { node: node.index, stream };
    const opened = this.nodes[to]?.isUp === true ? this.#network.connect(dialer, to, this.#nowMs) : undefined;
    if (opened === undefined) {
      return this.#deliver(node.index, this.#nowMs + 20, { kind: "stream-closed", stream, reason: "unreachable" });
    }
    this.#deliver(to, opened.atMs, { kind: "stream-opened", stream: opened.acceptor.stream, direction: "in" });
    this.#deliver(node.index, opened.atMs, { kind: "stream-opened", stream, direction: "out" });
  }

  #send(from: StreamEnd, bytes: Uint8Array): void {
    const arrival = this.#network.frameArrival(from, this.#nowMs);
    if (arrival === undefined) return;
    const { to, atMs } = arrival;
    this.#deliver(to.node, atMs, { kind: "stream-frame", stream: to.stream, bytes });
    this.#deliver(from.node, atMs, { kind: "stream-flushed", stream: from.stream, bytes: bytes.length });
  }

  /** The stream breaks: both ends learn of it, and what was under way is lost. */
  #break(end: StreamEnd): void {
    const other = this.#network.close(end);
    for (const { node, stream } of other === undefined ? [end] : [end, other]) {
      this.#deliver(node, this.#nowMs + 1, { kind: "stream-closed", stream, reason: "broken" });
    }
  }

  #deliver(node: number, atMs: number, input: NodeInput): void {
    const boot = this.nodes[node]?.boot;
    if (boot !== undefined) this.#queue.push(atMs, { kind: "input", node, boot, input });
  }

  #now(node: number): Now {
    return { monotonicMs: this.#nowMs, wallMs: Math.floor(EPOCH_MS + this.#nowMs + (this.#skewMs[node] ?? 0)) };
  }

  #note(node: number, input: NodeInput): void {
    const size = "bytes" in input && typeof input.bytes === "object" ? checksum(input.bytes) : 0;
    const detail = input.kind === "wake" ? input.timer.kind : "";
    this.#trace = hash32(`${this.#nowMs} ${node} ${input.kind} ${detail} ${size}`, this.#trace);
  }
}

function checksum(bytes: Uint8Array): number {
  let sum = bytes.length;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}
