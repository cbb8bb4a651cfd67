/** Who was taken for dead, by the members' own logs. */
import type { Member } from "../cluster/member.js";
import { expectThat } from "../cluster/wait-until.js";

/** Throws `Unmet` when one of these called a member dead since then. */
export function expectNoDeaths(members: readonly Member[], sinceMs: number): void {
  for (const member of members) {
    const dead = member.logged(sinceMs).filter(({ msg }) => msg === "member is dead");
    const whom = dead.map(({ address }) => String(address)).join(", ");
    expectThat(dead.length === 0, `${member.name} took a member for dead that was not: ${whom}`);
  }
}

/** Whether each of these has called that member dead since then. */
export function isDeadForAll(members: readonly Member[], whom: Member, sinceMs: number): boolean {
  return members.every((member) => deathMs(member, whom, sinceMs) !== undefined);
}

/** When a member found that another is dead, Unix ms. */
export function deathMs(member: Member, whom: Member, sinceMs: number): number | undefined {
  return member.logged(sinceMs).find(({ msg, nodeId }) => msg === "member is dead" && nodeId === whom.node)?.time;
}
