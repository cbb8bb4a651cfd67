/** What comes in from those who are no members, and what no member can apply. */
import { ByteWriter, type Change, hlcFromMs } from "@patina/base";
import { encodeFrame, type Frame, PROTOCOL } from "@patina/gossip";
import { SIM_CLUSTER } from "../machine/cluster.js";
import type { Machine } from "../machine/machine.js";
import type { StrangerKind } from "../plan/fault.js";
import { AHEAD } from "./releases.js";
import type { World } from "./world.js";

const STRANGER = "ee".repeat(16);

/** S1: after none of this is anything else than before. */
export function strangerCalls(world: World, machine: Machine, says: StrangerKind): void {
  const stream = `stranger-${world.rng.u32()}`;
  const before = stateOf(machine);
  const call = (bytes: Uint8Array): void => world.handleNow(machine, { kind: "stream-frame", stream, bytes });
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
  const hello = { kind: "hello", protocol: PROTOCOL, cluster: SIM_CLUSTER, node: STRANGER } as const;
  switch (says) {
    case "other-protocol":
      return [{ ...hello, protocol: AHEAD.foreign }, poison];
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
export function handOutPoison(world: World, machine: Machine): void {
  const end = world.rng.pick(world.streams.endsAt(machine.index));
  if (end === undefined) return;
  const bytes = encodeFrame({ kind: "changes", changes: [poisonOf(world.now(machine.index).wallMs)] });
  world.deliver(machine.index, world.nowMs, { kind: "stream-frame", stream: end.stream, bytes });
}

function poisonOf(wallMs: number): Change {
  const body = new ByteWriter().varint(1).text("no row").done();
  return { origin: "dd".repeat(24), version: 1, hlc: hlcFromMs(wallMs), body };
}
