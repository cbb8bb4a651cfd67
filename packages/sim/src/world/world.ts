/**
 * A whole cluster in virtual time, from one seed: the production agent and store on every node, one event at a time.
 * Same seed and plan, same events, same trace; nothing here reads a clock or draws from any other chance.
 *
 *   plan ─► queue ─► inject (faults)   clients ─► agent.handle(input, now) ─► effects ─► paths, streams ─► queue
 *                                                  └► coverage, checkers
 */
import { hash32, must, type Now, Rng } from "@patina/base";
import { type NodeEffect, type NodeInput, testAgentConfig } from "@patina/agent";
import { frameKind } from "@patina/gossip";
import { Chronicle } from "../checkers/chronicle.js";
import { MemberWatch } from "../checkers/members.js";
import { Coverage } from "../coverage/coverage.js";
import { indexOfAddress, type Machine } from "../machine/machine.js";
import type { WrapStore } from "../machine/process.js";
import { Paths } from "../network/paths.js";
import { type StreamEnd, Streams } from "../network/streams.js";
import type { Fault } from "../plan/fault.js";
import { PERFECT_NETWORK, type Plan, WARM_UP_MS } from "../plan/plan.js";
import { Clocks } from "./clocks.js";
import { EventQueue } from "./event-queue.js";
import { buildMachines } from "./build-machines.js";
import { Clients } from "./clients.js";
import { inject } from "./inject.js";
import { greetingsAhead } from "./releases.js";
import { Supervisor } from "./supervisor.js";

type Event =
  /** For one process of one node: nobody's after a crash. */
  | {
      readonly kind: "input";
      readonly node: number;
      readonly life: number;
      readonly input: NodeInput;
      readonly isStill?: () => boolean;
    }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "start"; readonly node: number }
  | { readonly kind: "weather" }
  | { readonly kind: "write" };

export class World {
  readonly plan: Plan;
  /** Those planned, then the twins. */
  readonly machines: readonly Machine[];
  readonly rng: Rng;
  readonly paths: Paths;
  readonly streams: Streams;
  readonly clocks: Clocks;
  readonly chronicle = new Chronicle();
  readonly coverage = new Coverage(testAgentConfig.membership);
  readonly watch: MemberWatch;
  readonly supervisor: Supervisor;
  readonly clients: Clients;
  /** Nodes that greet as a release to come. */
  readonly upgraded = new Set<number>();
  readonly #queue = new EventQueue<Event>();
  #nowMs = 0;
  #steps = 0;
  #trace = 0;

  constructor(seed: number, plan: Plan, home: string, wrapStore?: WrapStore) {
    this.plan = plan;
    this.rng = new Rng(seed);
    const clientsRng = this.rng.fork();
    this.clients = new Clients(this, clientsRng);
    this.supervisor = new Supervisor(this);
    this.paths = new Paths(this.rng.fork(), PERFECT_NETWORK);
    this.streams = new Streams(this.paths, (end, atMs, input, isStill) => this.#deliverTo(end, atMs, input, isStill));
    this.clocks = new Clocks(plan.clockOffsetsMs, plan.clockDrifts);
    this.watch = new MemberWatch(this.chronicle);
    this.machines = buildMachines(this, home, wrapStore);
    this.#queue.push(WARM_UP_MS, { kind: "weather" });
    for (const { atMs, fault } of plan.faults) this.#queue.push(atMs, { kind: "fault", fault });
    for (let i = 0; i < plan.writes; i++) {
      this.#queue.push(clientsRng.between(WARM_UP_MS / 4, plan.faultsEndMs), { kind: "write" });
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

  /** Those that are to be up in the end. */
  get core(): Machine[] {
    return this.machines.filter(({ index }) => index < this.plan.nodes && !this.plan.lost.includes(index));
  }

  machine(node: number): Machine {
    return must(this.machines[node], `a node ${node}`);
  }

  start(): void {
    for (const machine of this.machines.slice(0, this.plan.nodes)) this.supervisor.start(machine);
  }

  /** Runs until then, or for so many steps; `afterStep` looks on. */
  runUntil(endMs: number, afterStep: () => void = () => undefined): void {
    for (;;) {
      const next = this.#queue.pop();
      if (next === undefined) break;
      if (next.atMs > endMs) {
        this.#queue.pushBack(next);
        break;
      }
      this.#nowMs = next.atMs;
      this.#steps++;
      this.#handle(next.item);
      afterStep();
    }
    this.#nowMs = endMs;
  }

  /** The core is up and reaches everybody in it, from now on; the others are gone for good. */
  heal(): void {
    this.paths.conditions = PERFECT_NETWORK;
    this.clocks.heal(this.#nowMs);
    inject(this, { kind: "heal" });
    for (const machine of this.machines) {
      const { index: node } = machine;
      machine.makeRoom();
      machine.stall(this.#nowMs, "process");
      this.paths.clog(node, this.#nowMs);
      inject(this, { kind: "read-slowly", node, bytesPerMs: 0 });
      inject(this, { kind: "speak-other-protocol", node, isOn: false });
      const isLost = !machine.isRetired && !this.core.includes(machine);
      if (isLost) inject(this, { kind: "restart", node }); // What is lost with its disk is known once it was read.
      machine.isRetired ||= isLost;
      inject(this, { kind: machine.isRetired ? "end" : "restart", node });
    }
  }

  stop(): void {
    for (const machine of this.machines) machine.stop();
  }

  /** Something other than an input that the trace is to tell of. */
  noteInTrace(what: string): void {
    this.#trace = hash32(`${this.#nowMs} ${what}`, this.#trace);
  }

  startLater({ index: node }: Machine, afterMs: number): void {
    this.#queue.push(this.#nowMs + afterMs, { kind: "start", node });
  }

  now(node: number): Now {
    return this.clocks.now(node, this.#nowMs);
  }

  /** For the process that runs there when it is sent, or nobody. */
  deliver(node: number, atMs: number, input: NodeInput): void {
    const machine = this.machines[node];
    if (machine?.isUp === true) this.#queue.push(atMs, { kind: "input", node, life: machine.life, input });
  }

  #deliverTo({ node, life }: StreamEnd, atMs: number, input: NodeInput, isStill?: () => boolean): void {
    this.#queue.push(atMs, { kind: "input", node, life, input, ...(isStill === undefined ? {} : { isStill }) });
  }

  #handle(event: Event): void {
    switch (event.kind) {
      case "fault":
        this.noteInTrace(JSON.stringify(event.fault));
        return inject(this, event.fault);
      case "weather":
        this.paths.conditions = this.plan.network;
        return;
      case "start":
        return this.supervisor.start(this.machine(event.node));
      case "write":
        return this.clients.write();
      case "input":
        return this.#step(event);
    }
  }

  #step(event: Extract<Event, { kind: "input" }>): void {
    const { node, life, input, isStill } = event;
    const machine = this.machine(node);
    if (!machine.isUp || machine.life !== life) return;
    const stalledUntilMs = machine.stalledUntilMs(input, this.#nowMs);
    if (stalledUntilMs !== undefined) {
      // A loop that wakes up runs its timers first and only then reads what has come in.
      return this.#queue.push(stalledUntilMs + (input.kind === "wake" ? 0 : 1), event);
    }
    if (isStill?.() === false) return;
    this.handleNow(machine, input);
  }

  /** A step right now, whatever stands still. */
  handleNow(machine: Machine, input: NodeInput): void {
    this.#note(machine.index, input);
    const effects = machine.handle(input, this.now(machine.index));
    const { agent } = machine;
    if (agent !== undefined) this.coverage.onStep(machine.index, agent, input, effects, this.#nowMs);
    this.perform(machine, effects, input);
  }

  sendDatagram({ index, address }: Machine, { to: target, bytes }: Extract<NodeEffect, { kind: "datagram" }>): void {
    const to = indexOfAddress(target);
    for (const atMs of this.paths.datagramArrivals(index, to, this.#nowMs)) {
      this.deliver(to, atMs, { kind: "datagram", from: address, bytes });
    }
  }

  /** Does what a step of the machine asks for, until it has to stop. */
  perform(machine: Machine, effects: readonly NodeEffect[], input?: NodeInput): void {
    const { life } = machine;
    for (const effect of effects) {
      if (machine.life !== life) return; // It had to stop.
      this.#performOne(machine, effect, input);
    }
  }

  #performOne(machine: Machine, effect: NodeEffect, input: NodeInput | undefined): void {
    const { index: node, life } = machine;
    switch (effect.kind) {
      case "datagram":
        return this.sendDatagram(machine, effect);
      case "open-stream": {
        const to = this.machines[indexOfAddress(effect.address)];
        return this.streams.open(
          { node, life, stream: effect.stream },
          to?.isUp === true ? { node: to.index, life: to.life } : undefined,
          this.#nowMs,
        );
      }
      case "send":
        return this.#send({ node, life, stream: effect.stream }, effect.bytes, input);
      case "close-stream":
        return this.streams.close({ node, life, stream: effect.stream }, effect.reason, this.#nowMs);
      case "wake":
        return this.deliver(node, this.#nowMs + effect.afterMs, { kind: "wake", timer: effect.timer });
      case "outcome":
        return this.clients.onOutcome(machine, effect);
      case "event":
        return this.supervisor.onEvent(machine, effect.event);
    }
  }

  #send(from: StreamEnd, bytes: Uint8Array, input: NodeInput | undefined): void {
    const kind = frameKind(bytes);
    if (kind === "hello" && this.upgraded.has(from.node)) {
      for (const each of greetingsAhead(bytes, from.node)) this.streams.send(from, each, this.#nowMs, false);
      return;
    }
    const isAnswer = input?.kind === "stream-frame" || input?.kind === "stream-flushed";
    const isBroadcast = (kind === "changes" || kind === "relay") && !isAnswer;
    this.streams.send(from, bytes, this.#nowMs, isBroadcast && !this.plan.broadcasts);
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
