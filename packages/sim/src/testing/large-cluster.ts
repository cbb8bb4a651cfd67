/**
 * A cluster of up to a thousand agents in virtual time, to see how changes spread: the production agents and codec, a store
 * by the book, and streams that delay, and stall now and then as TCP does when it loses a packet. Some members are dead
 * and nobody has noticed yet: streams to them open and swallow whatever they are given.
 */
import { Agent, type AgentConfig, defaultAgentConfig, type Effect, type Input } from "@patina/agent";
import { cluster, idOf, ModelStore } from "@patina/agent/testing";
import { type NodeId, type Now, Rng, type Write } from "@patina/base";
import { decodeFrame } from "@patina/gossip";
import { EventQueue } from "../world/event-queue.js";

export interface LargeClusterOptions {
  readonly nodes: number;
  /** Members that died before the first change, undetected. */
  readonly deadShare: number;
  /** Frames that are held up, with all behind them on the stream. */
  readonly stallProbability: number;
  readonly seed: number;
}

export interface SpreadFigures {
  readonly changes: number;
  /** (change, living member) pairs, the origin left out. */
  readonly deliveries: number;
  readonly missing: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** How often a change's bytes arrive at a member, on average. */
  readonly copies: number;
  /** Streams that each member has, those it accepted included. */
  readonly streamsPerNode: number;
}

type Event = { readonly node: number; readonly input: Input } | { readonly write: number };

interface Node {
  readonly agent: Agent;
  readonly store: ModelStore;
  readonly isDead: boolean;
  /** The other ends of its streams. */
  readonly ends: Map<string, { readonly to: number; readonly stream: string }>;
  /** A stream delivers in order: when its last frame arrives. */
  readonly arrivesMs: Map<string, number>;
}

const EPOCH_MS = 1_790_000_000_000;
const SETTLE_MS = 1500;
const WRITE_EVERY_MS = 25;
const DRAIN_MS = 1500;
const WIRE_MS = [0.2, 0.8] as const;
const LOOP_MS = [0.3, 2.3] as const;
const STALL_MS = [50, 250] as const;

export class LargeCluster {
  readonly #options: LargeClusterOptions;
  readonly #rng: Rng;
  readonly #queue = new EventQueue<Event>();
  readonly #nodes: Node[];
  readonly #written = new Map<string, { readonly atMs: number; readonly seen: Map<number, number> }>();
  #copies = 0;
  #nowMs = 0;

  constructor(options: LargeClusterOptions, config: AgentConfig = defaultAgentConfig) {
    this.#options = options;
    this.#rng = new Rng(options.seed);
    const dead = new Set(this.#rng.shuffle(Array.from({ length: options.nodes }, (_, i) => i)));
    const isDead = [...dead].map((i) => i < options.nodes * options.deadShare);
    this.#nodes = isDead.map((each, i) => {
      const store = new ModelStore(i);
      const rng = this.#rng.fork();
      const agent = new Agent({ cluster, node: idOf(i), hasSeeds: false, store, config, rng });
      return { agent, store, isDead: each, ends: new Map(), arrivesMs: new Map() };
    });
  }

  /** Everybody meets everybody; then so many changes, one at a time, each of some 300 bytes. */
  run(changes: number): SpreadFigures {
    this.#meet();
    this.#runUntil(SETTLE_MS);
    for (let i = 0; i < changes; i++) this.#queue.push(SETTLE_MS + i * WRITE_EVERY_MS, { write: i });
    this.#runUntil(SETTLE_MS + changes * WRITE_EVERY_MS + DRAIN_MS);
    return this.#figures();
  }

  /** Everybody's copy counts. How many members know, after so long without a fault, of a change that all hold it. */
  stableAfter(forMs: number): number {
    const copies = this.#nodes.map(({ store }) => store.origin);
    for (const { store } of this.#nodes) {
      store.members = { ...store.members, copies: () => copies };
      store.isDurable = true;
    }
    this.#meet();
    this.#runUntil(SETTLE_MS);
    this.#write(0);
    this.#runUntil(SETTLE_MS + forMs);
    return this.#nodes.filter(({ store }) => store.stable.some(({ heads }) => heads.size > 0)).length;
  }

  #meet(): void {
    for (const [index, { agent }] of this.#nodes.entries()) {
      this.#perform(index, agent.handle({ kind: "start" }, this.#now));
      for (let other = 0; other < this.#nodes.length; other++) {
        if (other === index) continue;
        const member = {
          nodeId: idOf(other),
          boot: 1,
          incarnation: 0,
          state: "alive",
          address: String(other),
        } as const;
        const input = { kind: "member", member: { ...member, meta: { api: "" } }, previous: undefined } as const;
        this.#perform(index, agent.handle(input, this.#now));
      }
    }
  }

  #runUntil(endMs: number): void {
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop()) {
      if (next.atMs > endMs) {
        this.#queue.push(next.atMs, next.item);
        break;
      }
      this.#nowMs = next.atMs;
      if ("write" in next.item) this.#write(next.item.write);
      else this.#step(next.item.node, next.item.input);
    }
    this.#nowMs = endMs;
  }

  #write(serial: number): void {
    const living = this.#nodes.flatMap(({ isDead }, index) => (isDead ? [] : [index]));
    const index = this.#rng.pick(living) ?? 0;
    const values = { id: `k${serial}`, value: "x".repeat(280) };
    const write: Write = { kind: "rows", rows: [{ table: "t", values }] };
    const node = this.#nodes[index] as Node;
    const effects = node.agent.handle({ kind: "write", writes: [{ ticket: serial, write }] }, this.#now);
    const outcome = effects.find((effect) => effect.kind === "outcome")?.outcome;
    if (outcome?.ok !== true || outcome.change === undefined) throw new Error("a write that was not taken");
    this.#written.set(idOfChange(outcome.change), { atMs: this.#nowMs, seen: new Map([[index, this.#nowMs]]) });
    this.#perform(index, effects);
  }

  #step(index: number, input: Input): void {
    const node = this.#nodes[index] as Node;
    if (node.isDead && this.#nowMs >= SETTLE_MS) return;
    const before = node.store.applied.length;
    this.#perform(index, node.agent.handle(input, this.#now));
    for (const change of node.store.applied.slice(before)) {
      this.#written.get(idOfChange(change))?.seen.set(index, this.#nowMs);
    }
  }

  #perform(index: number, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === "wake") this.#at(effect.afterMs, index, { kind: "wake", timer: effect.timer });
      else if (effect.kind === "open-stream") this.#open(index, effect.stream, Number(effect.address));
      else if (effect.kind === "send") this.#send(index, effect.stream, effect.bytes);
      else if (effect.kind === "close-stream") this.#close(index, effect.stream, effect.reason);
    }
  }

  #open(index: number, stream: string, to: number): void {
    const other = `in-${index}-${stream}`;
    this.#nodes[index]?.ends.set(stream, { to, stream: other });
    this.#nodes[to]?.ends.set(other, { to: index, stream });
    this.#at(1, to, { kind: "stream-opened", stream: other, direction: "in" });
    this.#at(1, index, { kind: "stream-opened", stream, direction: "out" });
  }

  /** What is on its way arrives before. */
  #close(index: number, stream: string, reason: string): void {
    const node = this.#nodes[index] as Node;
    const end = node.ends.get(stream);
    if (end === undefined) return;
    node.ends.delete(stream);
    this.#nodes[end.to]?.ends.delete(end.stream);
    const atMs = Math.max(this.#nowMs + 1, node.arrivesMs.get(stream) ?? 0);
    node.arrivesMs.delete(stream);
    this.#at(atMs - this.#nowMs, end.to, { kind: "stream-closed", stream: end.stream, reason });
    this.#at(1, index, { kind: "stream-closed", stream, reason });
  }

  #send(index: number, stream: string, bytes: Uint8Array): void {
    const node = this.#nodes[index] as Node;
    const end = node.ends.get(stream);
    if (end === undefined) return;
    const isStalled = this.#nowMs >= SETTLE_MS && this.#rng.chance(this.#options.stallProbability);
    const delayMs = this.#rng.between(...WIRE_MS) + this.#rng.between(...LOOP_MS);
    const stallMs = isStalled ? this.#rng.between(...STALL_MS) : 0;
    const atMs = Math.max(node.arrivesMs.get(stream) ?? 0, this.#nowMs + delayMs + stallMs);
    node.arrivesMs.set(stream, atMs);
    this.#countCopies(bytes, end.to);
    this.#at(atMs - this.#nowMs, end.to, { kind: "stream-frame", stream: end.stream, bytes });
    this.#at(0.1, index, { kind: "stream-flushed", stream, bytes: bytes.length });
  }

  #countCopies(bytes: Uint8Array, to: number): void {
    if (this.#nowMs < SETTLE_MS || this.#nodes[to]?.isDead === true) return;
    const frame = decodeFrame(bytes, defaultAgentConfig.gossip);
    if (frame.kind !== "changes" && frame.kind !== "relay") return;
    this.#copies += frame.changes.filter((change) => this.#written.has(idOfChange(change))).length;
  }

  #at(afterMs: number, node: number, input: Input): void {
    this.#queue.push(this.#nowMs + afterMs, { node, input });
  }

  get #now(): Now {
    return { monotonicMs: this.#nowMs, wallMs: Math.floor(EPOCH_MS + this.#nowMs) };
  }

  #figures(): SpreadFigures {
    const living = this.#nodes.filter(({ isDead }) => !isDead);
    const delays: number[] = [];
    let missing = 0;
    for (const { atMs, seen } of this.#written.values()) {
      const each = [...seen.values()].map((ms) => ms - atMs).filter((ms) => ms > 0);
      missing += living.length - 1 - each.length;
      for (const ms of each) delays.push(ms);
    }
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))] ?? NaN;
    const streams = living.reduce((sum, { ends }) => sum + ends.size, 0);
    return {
      changes: this.#written.size,
      deliveries: delays.length,
      missing,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      p999Ms: at(0.999),
      copies: this.#copies / (this.#written.size * (living.length - 1)),
      streamsPerNode: streams / living.length,
    };
  }
}

function idOfChange({ origin, version }: { readonly origin: NodeId; readonly version: number }): string {
  return `${origin}:${version}`;
}
