/** What may be lost with a disk: acknowledged writes that it alone held for good, and doubts that it alone had on record. */
import { holds } from "@patina/base";
import type { Machine } from "../machine/machine.js";
import type { World } from "./world.js";

/**
 * The machine's copy of everything is about to go. What it alone held for good may be lost; whatever another member holds
 * for good may not. Nor may what most of the members held, when they were given up one after the other: most of them give up
 * the rest only, and who is given up gets it back from them.
 */
export function excuseLost(world: World, machine: Machine, isGivenUp = false): void {
  const { store } = machine;
  if (store === undefined) return;
  const { chronicle, machines, plan } = world;
  for (const { key, epoch } of store.owners.conflicts().doubtful) {
    chronicle.lostDoubts.add(`${String(key[0])}@${epoch}`);
  }
  const copies = machines.flatMap(({ store: other }) => {
    if (other?.isDurable !== true) return [];
    return [{ holdings: other.holdings(), isKeeper: other !== store && !other.members.isSelfEvicted }];
  });
  const held = store.holdings();
  for (const { ledgerId, origin, version } of chronicle.acknowledged) {
    const there = copies.filter(({ holdings }) => holds(holdings.get(origin), version));
    if (isGivenUp && there.length > plan.nodes / 2) chronicle.heldByMost.add(ledgerId);
    const isHere = origin === store.origin || holds(held.get(origin), version);
    const isLast = isHere && !there.some((copy) => copy.isKeeper);
    if (isLast && !(isGivenUp && chronicle.heldByMost.has(ledgerId))) chronicle.excused.add(ledgerId);
  }
}
