/** Agents over a virtual network in virtual time, for tests of the pure agent: one event at a time, nothing ambient. */
import { Rng, type Write, type WriteOutcome } from "@patina/base";
import { decodeFrame, type Frame } from "@patina/gossip";
import { type AgentConfig, testAgentConfig } from "../config.js";
import type { AgentEvent } from "../protocol.js";
import { type NodeEffect, type NodeInput, SingleThread } from "../single-thread.js";
import { cluster, idOf, ModelStore } from "./model-store.js";

export const WALL_MS = 1_700_000_000_000;

export interface Host {
  readonly agent: SingleThread;
  readonly store: ModelStore;
  readonly events: AgentEvent[];
  readonly outcomes: Map<number, WriteOutcome[]>;
}

/** Agents joined by streams that are whole and in order. Frames may be counted, lost or held back. */
export class Net {
  readonly hosts = new Map<string, Host>();
  /** By host, how far its wall clock is ahead. */
  readonly aheadMs = new Map<string, number>();
  readonly frames: { from: string; to: string; frame: Frame }[] = [];
  loses: (from: string, frame: Frame) => boolean = () => false;
  config: AgentConfig = testAgentConfig;
  /** Streams of this host never report that bytes have left. */
  stuck: string | undefined;
  nowMs = 0;
  #due: { atMs: number; order: number; to: string; input: NodeInput }[] = [];
  readonly #ends = new Map<string, { to: string; stream: string }>();
  #order = 0;

  add(n: number, store = new ModelStore(n), ofCluster = cluster): Host {
    const address = `10.0.0.${n}:1`;
    const self = { nodeId: idOf(n), boot: 1, address, meta: { api: "" } };
    const seeds = n === 1 ? [] : ["10.0.0.1:1"];
    const agent = new SingleThread({ cluster: ofCluster, self, seeds, store, config: this.config, rng: new Rng(n) });
    const host = { agent, store, events: [], outcomes: new Map<number, WriteOutcome[]>() };
    this.hosts.set(address, host);
    this.give(address, { kind: "start" });
    return host;
  }

  give(to: string, input: NodeInput, afterMs = 0): void {
    this.#due.push({ atMs: this.nowMs + afterMs, order: this.#order++, to, input });
  }

  put(n: number, ticket: number, id: string, value: string): void {
    const write: Write = { kind: "rows", rows: [{ table: "t", values: { id, value } }] };
    this.give(`10.0.0.${n}:1`, { kind: "write", writes: [{ ticket, write }] });
  }

  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error("a loop that never rests");
      this.#due.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#due.shift();
      this.nowMs = next.atMs;
      const host = this.hosts.get(next.to);
      const wallMs = WALL_MS + this.nowMs + (this.aheadMs.get(next.to) ?? 0);
      const now = { monotonicMs: this.nowMs, wallMs };
      if (host !== undefined) for (const effect of host.agent.handle(next.input, now)) this.#do(next.to, host, effect);
    }
    this.nowMs = untilMs;
  }

  #do(from: string, host: Host, effect: NodeEffect): void {
    switch (effect.kind) {
      case "datagram":
        return this.give(effect.to, { kind: "datagram", from, bytes: effect.bytes }, 1);
      case "wake":
        return this.give(from, { kind: "wake", timer: effect.timer }, effect.afterMs);
      case "event":
        return void host.events.push(effect.event);
      case "outcome":
        return void host.outcomes.set(effect.ticket, [...(host.outcomes.get(effect.ticket) ?? []), effect.outcome]);
      case "open-stream": {
        const other = `in-${from}-${effect.stream}`;
        this.#ends.set(`${from}/${effect.stream}`, { to: effect.address, stream: other });
        this.#ends.set(`${effect.address}/${other}`, { to: from, stream: effect.stream });
        this.give(from, { kind: "stream-opened", stream: effect.stream, direction: "out" }, 1);
        return this.give(effect.address, { kind: "stream-opened", stream: other, direction: "in" }, 1);
      }
      case "send": {
        const end = this.#ends.get(`${from}/${effect.stream}`);
        if (end === undefined) return;
        const frame = decodeFrame(effect.bytes, this.config.gossip);
        if (frame.kind === "unknown") throw new Error("an agent says what no agent knows");
        this.frames.push({ from, to: end.to, frame });
        if (this.stuck !== from)
          this.give(from, { kind: "stream-flushed", stream: effect.stream, bytes: effect.bytes.length }, 1);
        if (this.loses(from, frame)) return;
        return this.give(end.to, { kind: "stream-frame", stream: end.stream, bytes: effect.bytes }, 1);
      }
      case "close-stream": {
        const end = this.#ends.get(`${from}/${effect.stream}`);
        this.#ends.delete(`${from}/${effect.stream}`);
        if (end !== undefined) this.give(end.to, { kind: "stream-closed", stream: end.stream, reason: "closed" }, 1);
        return this.give(from, { kind: "stream-closed", stream: effect.stream, reason: effect.reason }, 1);
      }
    }
  }
}
