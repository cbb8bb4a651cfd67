/**
 * What a host does around an agent: starts its process, starts it again when it stopped, and does what its events ask for.
 * What those events must not say is found here, too.
 */
import { AppError } from "@patina/base";
import type { AgentEvent, NodeEffect } from "@patina/agent";
import type { Machine } from "../machine/machine.js";
import { isOn } from "../plan/swarm.js";
import { excuseLost } from "./excuse.js";
import type { World } from "./world.js";

/** How long it takes to start a process again that stopped by itself. */
const RESTART_AFTER_MS = 50;

export class Supervisor {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  start(machine: Machine): void {
    if (machine.isUp || machine.isRetired) return;
    const { chronicle } = this.#world;
    const { index: node, disk } = machine;
    const { boot } = disk;
    this.#world.noteInTrace(`start ${node}`);
    const effects = this.#tryStart(machine);
    if (effects === undefined) return this.startLater(machine);
    if (disk.boot <= boot) chronicle.broken("M2", `node ${node} started with boot ${disk.boot} again`);
    this.#checkKept(machine);
    this.#world.perform(machine, effects);
  }

  startLater(machine: Machine): void {
    this.#world.startLater(machine, RESTART_AFTER_MS);
  }

  onEvent(machine: Machine, event: AgentEvent): void {
    const { index: node } = machine;
    const { watch, machines, nowMs, chronicle, coverage, plan } = this.#world;
    if (event.kind === "member") {
      if (event.member.state === "dead") watch.noteDeath(machine, event.member, machines, nowMs);
      watch.onMember(machine, event.member, nowMs);
    } else if (event.kind === "divergence") {
      if (chronicle.forked.size > 0) coverage.seen.add("two histories under one name were found");
      else chronicle.broken("C2", `node ${node} and ${event.peer} hold the same and differ`);
    } else if (event.kind === "restituted") {
      chronicle.hasLostRows ||= event.from === "all";
    } else if (event.kind === "store-failed") {
      if (!isOn(plan.classes, "full-disk")) chronicle.broken("B2", `node ${node}: ${event.error.message}`);
      this.#stop(machine);
      this.startLater(machine); // Again and again, until there is room.
    } else if (event.kind === "outlived") {
      coverage.seen.add("a start was numbered below one that was gone");
      machine.disk.boot = Math.max(machine.disk.boot, event.boot);
      this.#stop(machine);
      this.startLater(machine);
    } else if (event.kind === "evicted") this.#startOver(machine, event.reason);
  }

  /** Undefined: its disk is full, and nothing can start there now. */
  #tryStart(machine: Machine): NodeEffect[] | undefined {
    try {
      return machine.start(this.#world.now(machine.index));
    } catch (thrown) {
      if (machine.isFull && thrown instanceof AppError && thrown.code === "store-failed") return undefined;
      throw thrown;
    }
  }

  #stop(machine: Machine): void {
    this.#world.streams.reset(machine.index, this.#world.nowMs);
    machine.stop();
  }

  /** What a runtime does with a database that must not be used any more. */
  #startOver(machine: Machine, reason: string): void {
    const { seen } = this.#world.coverage;
    const isGivenUp = !reason.includes("old copy");
    seen.add(isGivenUp ? "a member was given up" : "an old disk was found out");
    excuseLost(this.#world, machine, isGivenUp);
    this.#stop(machine);
    machine.disk.abandon();
    seen.add("a node started over with an empty database");
    this.startLater(machine);
  }

  /** C4: what this database acknowledged is in it, whatever it went through. */
  #checkKept({ index, store, hasForgotten }: Machine): void {
    if (store === undefined || hasForgotten) return;
    const { acknowledged, excused } = this.#world.chronicle;
    const own = acknowledged.filter(
      ({ node, origin, ledgerId }) => node === index && origin === store.origin && !excused.has(ledgerId),
    );
    if (own.length === 0) return;
    const ids = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
    const lost = own.find(({ ledgerId }) => !ids.has(ledgerId));
    if (lost === undefined) return;
    this.#world.chronicle.broken("C4", `node ${index} acknowledged ${lost.ledgerId} and came back without it`);
  }
}
