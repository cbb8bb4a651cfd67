/**
 * A whole cluster in virtual time, from one seed: the production agent and store on every node, one event at a time.
 * Same seed and plan, same events, same trace; nothing here reads a clock or draws from any other chance.
 *
 *   plan ─► queue ─► inject (faults)   clients ─► agent.handle(input, now) ─► effects ─► paths, streams ─► queue
 *                                                  └► coverage, checkers
 */
import { join } from "node:path";
import { AppError, hash32, must, type Now, Rng } from "@patina/base";
import { type AgentEvent, type Effect, type Input, testAgentConfig } from "@patina/agent";
import { frameKind } from "@patina/gossip";
import { Chronicle } from "../checkers/chronicle.js";
import { MemberWatch } from "../checkers/members.js";
import { Coverage } from "../coverage/coverage.js";
import { SIM_CLUSTER } from "../machine/cluster.js";
import { addressOf, hexDigits, indexOfAddress, Machine } from "../machine/machine.js";
import type { WrapStore } from "../machine/process.js";
import { Paths } from "../network/paths.js";
import { type StreamEnd, Streams } from "../network/streams.js";
import type { Fault } from "../plan/fault.js";
import { PERFECT_NETWORK, type Plan, WARM_UP_MS } from "../plan/plan.js";
import { isOn } from "../plan/swarm.js";
import { Clocks } from "./clocks.js";
import { EventQueue } from "./event-queue.js";
import { excuseLost, inject } from "./inject.js";
import { type ClientWrite, randomWrite } from "./workload.js";

type Event =
  /** For one process of one node: nobody's after a crash. */
  | {
      readonly kind: "input";
      readonly node: number;
      readonly life: number;
      readonly input: Input;
      readonly isStill?: () => boolean;
    }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "start"; readonly node: number }
  | { readonly kind: "weather" }
  | { readonly kind: "write" };

/** How long a supervisor takes to start a process again that stopped by itself. */
const RESTART_AFTER_MS = 50;

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
  /** Nodes that greet with another protocol version. */
  readonly otherProtocol = new Set<number>();
  readonly #queue = new EventQueue<Event>();
  readonly #tickets = new Map<number, ClientWrite>();
  readonly #clients: Rng;
  #nowMs = 0;
  #serial = 0;
  #steps = 0;
  #trace = 0;

  constructor(seed: number, plan: Plan, home: string, wrapStore?: WrapStore) {
    this.plan = plan;
    this.rng = new Rng(seed);
    this.#clients = this.rng.fork();
    this.paths = new Paths(this.rng.fork(), PERFECT_NETWORK);
    this.streams = new Streams(this.paths, (end, atMs, input, isStill) => this.#deliverTo(end, atMs, input, isStill));
    this.clocks = new Clocks(plan.clockOffsetsMs, plan.clockDrifts);
    this.watch = new MemberWatch(this.chronicle);
    this.machines = this.#buildMachines(home, wrapStore);
    this.#queue.push(WARM_UP_MS, { kind: "weather" });
    for (const { atMs, fault } of plan.faults) this.#queue.push(atMs, { kind: "fault", fault });
    for (let i = 0; i < plan.writes; i++) {
      this.#queue.push(this.#clients.between(WARM_UP_MS / 4, plan.faultsEndMs), { kind: "write" });
    }
  }

  #buildMachines(home: string, wrapStore: WrapStore | undefined): Machine[] {
    const { plan } = this;
    const ids = Array.from({ length: plan.nodes }, () => hexDigits(this.rng, 32));
    const twins = plan.faults.flatMap(({ fault }) => (fault.kind === "twin" ? [must(ids[fault.node], "a node")] : []));
    return [...ids, ...twins].map(
      (nodeId, index) =>
        new Machine({
          index,
          nodeId,
          home: join(home, `node-${index}`),
          cluster: SIM_CLUSTER,
          seeds: [addressOf(0), addressOf(1)],
          evictAfterMs: plan.evictAfterMs,
          rng: this.rng.fork(),
          wrapStore,
          report: {
            committed: (change, rows) => this.chronicle.committed(change, rows),
            broken: (rule, what) => this.chronicle.broken(rule, `node ${index}: ${what}`),
            passed: (path) => this.coverage.seen.add(path),
          },
        }),
    );
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
    for (const machine of this.machines.slice(0, this.plan.nodes)) this.startMachine(machine);
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
      machine.isRetired ||= !this.core.includes(machine);
      inject(this, { kind: machine.isRetired ? "end" : "restart", node });
    }
  }

  stop(): void {
    for (const machine of this.machines) machine.stop();
  }

  startMachine(machine: Machine): void {
    if (machine.isUp || machine.isRetired) return;
    this.#trace = hash32(`start ${machine.index}`, this.#trace);
    const boot = machine.disk.boot;
    const effects = this.#tryStart(machine);
    if (effects === undefined) return this.startLater(machine);
    if (machine.disk.boot <= boot)
      this.chronicle.broken("M2", `node ${machine.index} started with boot ${machine.disk.boot} again`);
    this.#checkKept(machine);
    this.#perform(machine, effects);
  }

  /** Undefined: its disk is full, and nothing can start there now. */
  #tryStart(machine: Machine): Effect[] | undefined {
    try {
      return machine.start(this.now(machine.index));
    } catch (thrown) {
      if (machine.isFull && thrown instanceof AppError && thrown.code === "store-failed") return undefined;
      throw thrown;
    }
  }

  startLater(machine: Machine): void {
    this.#queue.push(this.#nowMs + RESTART_AFTER_MS, { kind: "start", node: machine.index });
  }

  now(node: number): Now {
    return this.clocks.now(node, this.#nowMs);
  }

  /** For the process that runs there when it is sent, or nobody. */
  deliver(node: number, atMs: number, input: Input): void {
    const machine = this.machines[node];
    if (machine?.isUp === true) this.#queue.push(atMs, { kind: "input", node, life: machine.life, input });
  }

  #deliverTo({ node, life }: StreamEnd, atMs: number, input: Input, isStill?: () => boolean): void {
    this.#queue.push(atMs, { kind: "input", node, life, input, ...(isStill === undefined ? {} : { isStill }) });
  }

  #handle(event: Event): void {
    switch (event.kind) {
      case "fault":
        this.#trace = hash32(`${this.#nowMs} ${JSON.stringify(event.fault)}`, this.#trace);
        return inject(this, event.fault);
      case "weather":
        this.paths.conditions = this.plan.network;
        return;
      case "start":
        return this.startMachine(this.machine(event.node));
      case "write":
        return this.#write();
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

  /** A client writes where it is told that the node has caught up. */
  #write(): void {
    const ready = this.machines.filter(({ isUp, agent }) => isUp && agent?.hasSynced === true);
    const machine = this.#clients.pick(ready);
    if (machine === undefined) return;
    const ticket = this.#serial++;
    const client = randomWrite(this.#clients, ticket, { node: machine.index, nodes: this.plan.nodes });
    this.#tickets.set(ticket, client);
    this.deliver(machine.index, this.#nowMs, { kind: "write", writes: [{ ticket, write: client.write }] });
  }

  /** A step right now, whatever stands still. */
  handleNow(machine: Machine, input: Input): void {
    this.#note(machine.index, input);
    const effects = machine.handle(input, this.now(machine.index));
    const { agent } = machine;
    if (agent !== undefined) this.coverage.onStep(machine.index, agent, input, effects, this.#nowMs);
    this.#perform(machine, effects, input);
  }

  sendDatagram({ index, address }: Machine, { to: target, bytes }: Extract<Effect, { kind: "datagram" }>): void {
    const to = indexOfAddress(target);
    for (const atMs of this.paths.datagramArrivals(index, to, this.#nowMs)) {
      this.deliver(to, atMs, { kind: "datagram", from: address, bytes });
    }
  }

  #perform(machine: Machine, effects: readonly Effect[], input?: Input): void {
    const { life } = machine;
    for (const effect of effects) {
      if (machine.life !== life) return; // It had to stop.
      this.#performOne(machine, effect, input);
    }
  }

  #performOne(machine: Machine, effect: Effect, input: Input | undefined): void {
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
        return this.#onOutcome(machine, effect);
      case "event":
        return this.#onEvent(machine, effect.event);
    }
  }

  #send(from: StreamEnd, bytes: Uint8Array, input: Input | undefined): void {
    const kind = frameKind(bytes);
    if (kind === "hello" && this.otherProtocol.has(from.node)) bytes = withOtherProtocol(bytes);
    const isBroadcast = kind === "changes" && input?.kind !== "stream-frame" && input?.kind !== "stream-flushed";
    this.streams.send(from, bytes, this.#nowMs, isBroadcast && !this.plan.broadcasts);
  }

  #onOutcome(machine: Machine, { ticket, outcome }: Extract<Effect, { kind: "outcome" }>): void {
    const { ledgerId, mayBeRefused = [] } = this.#tickets.get(ticket) ?? {};
    this.#tickets.delete(ticket);
    if (outcome.ok) {
      const { change } = outcome;
      if (ledgerId !== undefined && change !== undefined) {
        this.chronicle.acknowledged.push({
          node: machine.index,
          ledgerId,
          origin: change.origin,
          version: change.version,
        });
      }
      return;
    }
    const { code } = outcome.error;
    if (code === "not-owner") this.coverage.seen.add("a write was refused to a worker that is no owner");
    if (mayBeRefused.includes(code)) return;
    const isFull = code === "store-failed" && isOn(this.plan.classes, "full-disk");
    if (!isFull) throw new AppError("internal", `node ${machine.index} refused a write: ${outcome.error.message}`);
  }

  #onEvent(machine: Machine, event: AgentEvent): void {
    switch (event.kind) {
      case "member":
        if (event.member.state === "dead") this.watch.noteDeath(machine, event.member, this.machines, this.#nowMs);
        return this.watch.onMember(machine, event.member, this.#nowMs);
      case "divergence":
        if (this.chronicle.forked.size > 0) this.coverage.seen.add("two histories under one name were found");
        else this.chronicle.broken("C2", `node ${machine.index} and ${event.peer} hold the same and differ`);
        return;
      case "store-failed":
        if (!isOn(this.plan.classes, "full-disk"))
          this.chronicle.broken("B2", `node ${machine.index}: ${event.error.message}`);
        this.#stopProcess(machine);
        return this.startLater(machine); // What a supervisor does, until there is room.
      case "evicted":
        return this.#startOver(machine, event.reason);
    }
  }

  #stopProcess(machine: Machine): void {
    this.streams.reset(machine.index, this.#nowMs);
    machine.stop();
  }

  /** What a runtime does with a database that must not be used any more. */
  #startOver(machine: Machine, reason: string): void {
    machine.wasGivenUp = !/old copy/.test(reason);
    this.coverage.seen.add(machine.wasGivenUp ? "a member was given up" : "an old disk was found out");
    excuseLost(this, machine);
    this.#stopProcess(machine);
    machine.disk.abandon();
    this.coverage.seen.add("a node started over with an empty database");
    this.startLater(machine);
  }

  /** C4: what this database acknowledged is in it, whatever it went through. */
  #checkKept(machine: Machine): void {
    const { store } = machine;
    if (store === undefined || machine.hasForgotten) return;
    const { acknowledged, excused } = this.chronicle;
    const own = acknowledged.filter(
      ({ node, origin, ledgerId }) => node === machine.index && origin === store.origin && !excused.has(ledgerId),
    );
    if (own.length === 0) return;
    const ids = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
    const lost = own.find(({ ledgerId }) => !ids.has(ledgerId));
    if (lost !== undefined)
      this.chronicle.broken("C4", `node ${machine.index} acknowledged ${lost.ledgerId} and came back without it`);
  }

  #note(node: number, input: Input): void {
    const size = "bytes" in input && typeof input.bytes === "object" ? checksum(input.bytes) : 0;
    const detail = input.kind === "wake" ? input.timer.kind : "";
    this.#trace = hash32(`${this.#nowMs} ${node} ${input.kind} ${detail} ${size}`, this.#trace);
  }
}

/** A hello's version is the byte after its kind. */
function withOtherProtocol(hello: Uint8Array): Uint8Array {
  const bytes = hello.slice();
  bytes[1] = (bytes[1] ?? 0) + 1;
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  let sum = bytes.length;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}
