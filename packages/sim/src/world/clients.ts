/** The clients of a world: they write to nodes that say they have caught up, and remember what they were told is durable. */
import { AppError, type Rng } from "@patina/base";
import type { NodeEffect } from "@patina/agent";
import type { Machine } from "../machine/machine.js";
import { isOn } from "../plan/swarm.js";
import { type ClientWrite, randomWrite } from "./workload.js";
import type { World } from "./world.js";

export class Clients {
  readonly #world: World;
  readonly #rng: Rng;
  readonly #waiting = new Map<number, ClientWrite>();
  #serial = 0;

  constructor(world: World, rng: Rng) {
    this.#world = world;
    this.#rng = rng;
  }

  /** One of them writes; nothing when no node is ready. */
  write(): void {
    const { machines, plan, nowMs } = this.#world;
    const machine = this.#rng.pick(machines.filter(({ isUp, agent }) => isUp && agent?.hasSynced === true));
    if (machine === undefined) return;
    const ticket = this.#serial++;
    const client = randomWrite(this.#rng, ticket, { node: machine.index, nodes: plan.nodes });
    this.#waiting.set(ticket, client);
    this.#world.deliver(machine.index, nowMs, { kind: "write", writes: [{ ticket, write: client.write }] });
  }

  /** An answer. A refusal that is none of those a client has to expect is a fault, and ends the run. */
  onOutcome({ index: node }: Machine, { ticket, outcome }: Extract<NodeEffect, { kind: "outcome" }>): void {
    const { chronicle, coverage, plan } = this.#world;
    const { ledgerId, mayBeRefused = [] } = this.#waiting.get(ticket) ?? {};
    this.#waiting.delete(ticket);
    if (outcome.ok) {
      const { change } = outcome;
      if (ledgerId === undefined || change === undefined) return;
      chronicle.acknowledged.push({ node, ledgerId, origin: change.origin, version: change.version });
      return;
    }
    const { code, message } = outcome.error;
    if (code === "not-owner") coverage.seen.add("a write was refused to a worker that is no owner");
    // A schema planned twice while its node stood still: the second finds the first, and whoever applied it plans anew.
    const isPlannedTwice = code === "version-mismatch" && isOn(plan.classes, "schema-change");
    const isFull = code === "store-failed" && isOn(plan.classes, "full-disk");
    if (!isFull && !isPlannedTwice && !mayBeRefused.includes(code))
      throw new AppError("internal", `node ${node} refused a write: ${message}`);
  }
}
