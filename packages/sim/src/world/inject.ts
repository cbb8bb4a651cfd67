/** Does to a world what a fault says. Faults that meet a node in no state for them are nothing: plans are drawn blindly. */
import { ByteWriter, type Change, hlcFromMs, holds, unreachable } from "@patina/base";
import { encodeFrame, type Frame, PROTOCOL_VERSION } from "@patina/gossip";
import { SIM_CLUSTER } from "../machine/cluster.js";
import type { Machine } from "../machine/machine.js";
import { nextSchema } from "../machine/schema.js";
import type { Fault, StrangerKind } from "../plan/fault.js";
import type { World } from "./world.js";

/** Of a machine whose power is gone, its peers learn by a reset or by their keep-alives. */
const NOTICED_WITHIN_MS = 1500;
const STRANGER = "ee".repeat(16);

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
      return void (fault.isOn ? world.otherProtocol.add(fault.node) : world.otherProtocol.delete(fault.node));
    case "restart":
      return world.startMachine(world.machine(fault.node));
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
      return world.startLater(machine);
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

/**
 * The machine's copy of everything is about to go. What it alone held for good may be lost; whatever another member holds
 * for good may not.
 */
export function excuseLost(world: World, machine: Machine): void {
  const { store } = machine;
  if (store === undefined) return;
  const keepers = world.machines.flatMap(({ index, store: other }) =>
    index !== machine.index && other?.isDurable === true && !other.members.isSelfEvicted ? [other.holdings()] : [],
  );
  const held = store.holdings();
  for (const { ledgerId, origin, version } of world.chronicle.acknowledged) {
    const isHere = origin === store.origin || holds(held.get(origin), version);
    if (isHere && !keepers.some((holdings) => holds(holdings.get(origin), version))) {
      world.chronicle.excused.add(ledgerId);
    }
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
  world.startMachine(twin);
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
  world.startLater(machine);
}

/** S1: after none of this is anything else than before. */
function strangerCalls(world: World, machine: Machine, says: StrangerKind): void {
  const stream = `stranger-${world.rng.u32()}`;
  const before = stateOf(machine);
  const call = (bytes: Uint8Array): void => void world.handleNow(machine, { kind: "stream-frame", stream, bytes });
  world.handleNow(machine, { kind: "stream-opened", stream, direction: "in" });
  for (const frame of framesOf(says)) call(encodeFrame(frame));
  if (says === "noise") {
    for (let i = 0; i < 5; i++) call(Uint8Array.from({ length: world.rng.below(40) }, () => world.rng.below(256)));
    world.handleNow(machine, {
      kind: "datagram",
      from: "stranger:1",
      bytes: Uint8Array.of(0xb7, 1, 2, 3, 4, 5, world.rng.below(256)),
    });
  }
  if (stateOf(machine) !== before) world.chronicle.broken("S1", `node ${machine.index} believed a stranger (${says})`);
}

function framesOf(says: StrangerKind): Frame[] {
  const poison: Frame = { kind: "changes", changes: [poisonOf(0)] };
  const hello = { kind: "hello", protocol: PROTOCOL_VERSION, cluster: SIM_CLUSTER, node: STRANGER } as const;
  switch (says) {
    case "other-protocol":
      return [{ ...hello, protocol: PROTOCOL_VERSION + 1 }, poison];
    case "other-generation":
      return [{ ...hello, cluster: { ...SIM_CLUSTER, generation: SIM_CLUSTER.generation + 1 } }, poison];
    case "other-cluster":
      return [{ ...hello, cluster: { ...SIM_CLUSTER, name: "elsewhere" } }, poison];
    case "no-greeting":
      return [poison];
    case "noise":
      return [];
  }
}

function stateOf({ agent, store }: Machine): string {
  const held = [...(store?.holdings() ?? [])].map(([origin, { head }]) => `${origin}:${head}`).join();
  return `${held} ${agent?.members().length} ${agent?.reachable().join()}`;
}

/** A member passes on a change, of an origin that is gone, whose rows nobody can read. */
function handOutPoison(world: World, machine: Machine): void {
  const end = world.rng.pick(world.streams.endsAt(machine.index));
  if (end === undefined) return;
  const bytes = encodeFrame({ kind: "changes", changes: [poisonOf(world.now(machine.index).wallMs)] });
  world.deliver(machine.index, world.nowMs, { kind: "stream-frame", stream: end.stream, bytes });
}

function poisonOf(wallMs: number): Change {
  const body = new ByteWriter().varint(1).text("no row").done();
  return { origin: "dd".repeat(24), version: 1, hlc: hlcFromMs(wallMs), body };
}

function changeSchema(world: World, machine: Machine): void {
  const { schemas } = machine.store ?? {};
  const sql = schemas && nextSchema(schemas.current().sql);
  const write = sql === undefined ? undefined : schemas?.plan(sql).write;
  if (write === undefined) return;
  const ticket = -2; // Nobody waits for it.
  world.deliver(machine.index, world.nowMs, {
    kind: "write",
    writes: [{ ticket, write: { kind: "rows", rows: [write] } }],
  });
}
