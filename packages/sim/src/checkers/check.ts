/**
 * The invariants, by letter. Some are looked at while faults are on, wherever they are cheap at every event and otherwise
 * now and then; the others once the core is healed and quiet.
 *
 *   M  members     members.ts     M1 M2 M5 always, M3 M4 M6 in the end
 *   B  broadcast   bounds.ts      B2 always; B1 at every apply, by the witness
 *   C  data        data.ts        C2 C3 C5 always, C1 C4 in the end
 *   O  owners      owners.ts      in the end
 *   H  clocks      chronicle.ts   H1 at every commit and apply
 *   S  strangers   inject.ts      S1 at every call
 */
import type { World } from "../world/world.js";
import { checkBounds } from "./bounds.js";
import { checkConverged, checkDigests, checkHoldings, checkRows } from "./data.js";
import { checkEnlisted, checkFalseDeaths, checkMember, checkMembers } from "./members.js";
import { checkOwners } from "./owners.js";

/** At any time, of one node that runs; digests of all. What is wrong goes into the chronicle. */
export function checkNow(world: World, turn: number): void {
  const up = world.machines.filter(({ isUp }) => isUp);
  const machine = up[turn % Math.max(1, up.length)];
  if (machine === undefined) return;
  checkMember(world, machine);
  checkBounds(world, machine);
  checkHoldings(world, machine);
  checkRows(world, machine);
  checkDigests(world);
}

/** Of a healed and quiet cluster. Every node of the core must be up. */
export function checkQuiet(world: World): string[] {
  const down = world.core.filter(({ isUp }) => !isUp);
  if (down.length > 0) return [`M3: node ${down[0]?.index ?? ""} is down`];
  const members = checkMembers(world);
  if (members.length > 0) return members; // The rest follows.
  const data = checkConverged(world);
  if (data.length > 0) return data;
  return [...checkOwners(world), ...checkEnlisted(world), ...checkFalseDeaths(world)];
}
