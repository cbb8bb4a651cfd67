/** O: whose a row is. In one epoch a row has one owner, unless two took it without knowing of each other, and then it is known. */
import { must } from "@patina/base";
import type { World } from "../world/world.js";

/** O1 and O2, in the end: the row shows its latest epoch, and two owners of one epoch are on record. */
export function checkOwners({ chronicle, core }: World): string[] {
  const store = must(core[0]?.store, "a running node's store");
  if (chronicle.forked.size > 0 || chronicle.hasLostRows || !store.isWhole) return [];
  const holdings = store.holdings();
  const findings: string[] = [];
  for (const states of chronicle.states("leases")) {
    const held = states.filter(({ stamp }) => (holdings.get(stamp.origin)?.head ?? 0) >= stamp.version);
    const epoch = Math.max(0, ...held.map((state) => state.epoch));
    const owners = new Set(held.filter((state) => state.epoch === epoch).map(({ owner }) => owner));
    const key = states[0]?.key ?? "";
    if (owners.size === 0) continue;
    const shown = store.ownership("leases", [key]);
    if (shown?.epoch !== epoch) findings.push(`O1: lease ${key} shows epoch ${shown?.epoch ?? "none"} of ${epoch}`);
    if (!owners.has(shown?.owner)) findings.push(`O2: lease ${key} shows an owner of no such epoch`);
    const isDoubted = core.some((machine) =>
      machine.store?.owners.conflicts().doubtful.some((row) => row.key[0] === key && row.epoch === epoch),
    );
    if (owners.size > 1 && !isDoubted && !chronicle.lostDoubts.has(`${key}@${epoch}`))
      findings.push(`O1: lease ${key} has ${owners.size} owners in epoch ${epoch}, and no doubt`);
  }
  return findings;
}
