/** What may be lost with a disk: acknowledged writes that it alone held for good, and doubts that it alone had on record. */
import { holds } from "@patina/base";
import type { Machine } from "../machine/machine.js";
import type { World } from "./world.js";

/**
 * The machine's copy of everything is about to go. What it alone held for good may be lost; whatever another member holds
 * for good may not.
 */
export function excuseLost(world: World, machine: Machine): void {
  const { store } = machine;
  if (store === undefined) return;
  for (const { key, epoch } of store.owners.conflicts().doubtful) {
    world.chronicle.lostDoubts.add(`${String(key[0])}@${epoch}`);
  }
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
