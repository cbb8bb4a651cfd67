/** Does to a world what a fault says. Faults that meet a node in no state for them are nothing: plans are drawn blindly. */
import { AppError, type RowWrite, unreachable } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import type { Machine } from "../machine/machine.js";
import { nextSchema } from "../machine/schema.js";
import type { Fault } from "../plan/fault.js";
import { excuseLost } from "./excuse.js";
import { handOutPoison, strangerCalls } from "./strangers.js";
import type { World } from "./world.js";

/** Of a machine whose power is gone, its peers learn by a reset or by their keep-alives. */
const NOTICED_WITHIN_MS = 1500;

/** A machine outside the core is ended when the world heals. */
type Injected = Fault | { readonly kind: "end"; readonly node: number };

export function inject(world: World, fault: Injected): void {
  switch (fault.kind) {
    case "partition":
    case "heal":
      world.paths.partition(fault.kind === "heal" ? [] : fault.cut);
      return world.streams.breakParted(world.nowMs);
    case "clog":
      return world.paths.clog(fault.node, world.nowMs + fault.forMs);
    case "reset-streams":
      return world.streams.reset(fault.node, world.nowMs);
    case "read-slowly":
      return world.streams.readSlowly(fault.node, fault.bytesPerMs);
    case "step-clock":
      return world.clocks.step(fault.node, fault.byMs);
    case "freeze-clock":
      return world.clocks.freeze(fault.node, world.nowMs, fault.forMs);
    case "speak-other-protocol":
      return void (fault.isOn ? world.upgraded.add(fault.node) : world.upgraded.delete(fault.node));
    case "restart":
      return world.supervisor.start(world.machine(fault.node));
    default:
      return toMachine(world, world.machine(fault.node), fault);
  }
}

type OfMachine = Exclude<Injected, { kind: "partition" | "heal" | "clog" | "reset-streams" | "read-slowly" | "step-clock" | "freeze-clock" | "speak-other-protocol" | "restart" }>; // prettier-ignore

function toMachine(world: World, machine: Machine, fault: OfMachine): void {
  if (fault.kind === "end-twin") return endTwin(world, machine);
  if (!machine.isUp) return;
  switch (fault.kind) {
    case "crash":
      return losePower(world, machine);
    case "leave":
      for (const effect of machine.handle({ kind: "leave" }, world.now(machine.index))) {
        if (effect.kind === "datagram") world.sendDatagram(machine, effect);
      }
      world.streams.reset(machine.index, world.nowMs);
      return machine.stop();
    case "end":
      excuseLost(world, machine);
      return losePower(world, machine);
    case "copy-disk":
      return machine.disk.keepCopy();
    case "restore-disk":
      if (!machine.disk.hasCopy) return;
      excuseLost(world, machine);
      losePower(world, machine);
      machine.hasForgotten = true;
      return machine.disk.restoreCopy();
    case "twin":
      return startTwin(world, machine);
    case "fill-disk":
      machine.fillDisk();
      losePower(world, machine);
      return world.supervisor.startLater(machine);
    case "stall":
      return machine.stall(world.nowMs + fault.forMs, fault.scope);
    case "stranger":
      return strangerCalls(world, machine, fault.says);
    case "poison":
      return handOutPoison(world, machine);
    case "change-schema":
      return changeSchema(world, machine);
    default:
      return unreachable(fault);
  }
}

function losePower(world: World, machine: Machine): void {
  world.streams.reset(machine.index, world.nowMs, world.rng.between(1, NOTICED_WITHIN_MS));
  if (machine.crash()) world.coverage.seen.add("power loss took what was not synced");
}

/** The first twin that does not run yet gets a copy of the disk and of the identity. */
function startTwin(world: World, machine: Machine): void {
  const twin = world.machines.find(
    ({ index, nodeId, isUp, isRetired }) =>
      index >= world.plan.nodes && nodeId === machine.nodeId && !isUp && !isRetired,
  );
  if (twin === undefined) return;
  twin.disk.cloneFrom(machine.disk);
  world.supervisor.start(twin);
}

/** Somebody notices: the copy is switched off, and the machine it was made of restarted, so that it is believed again. */
function endTwin(world: World, machine: Machine): void {
  for (const twin of world.machines.slice(world.plan.nodes)) {
    if (twin.nodeId !== machine.nodeId) continue;
    twin.isRetired = true;
    if (!twin.isUp) continue;
    excuseLost(world, twin);
    losePower(world, twin);
    machine.disk.boot = Math.max(machine.disk.boot, twin.disk.boot);
  }
  if (machine.isUp) losePower(world, machine);
  world.supervisor.startLater(machine);
}

function changeSchema(world: World, machine: Machine): void {
  const write = machine.store && plannedIn(machine.store.schemas);
  if (write === undefined) return;
  const ticket = -2; // Nobody waits for it.
  world.deliver(machine.index, world.nowMs, {
    kind: "write",
    writes: [{ ticket, write: { kind: "rows", rows: [write] } }],
  });
}

/** The next schema's write; none where a full disk has no room for a trial, which whoever applies it is told. */
function plannedIn(schemas: SqliteStore["schemas"]): RowWrite | undefined {
  const sql = nextSchema(schemas.current().sql);
  try {
    return sql === undefined ? undefined : schemas.plan(sql).write;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "store-failed") return undefined;
    throw thrown;
  }
}
