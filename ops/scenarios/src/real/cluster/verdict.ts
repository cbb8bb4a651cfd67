/** What must be so in the end, after any fault that is over: the same as at the end of a simulation. */
import type { Cluster } from "./cluster.js";
import type { Digest, Member } from "./member.js";
import { expectThat, Unmet, waitUntil } from "./wait-until.js";
import type { Writer } from "./writer.js";

const FORKED = "two histories go by one origin's name";

/** Waits until all hold the same and it comes to the same. Resolves with how long that took, ms. */
export async function settled(members: readonly Member[], withinMs: number): Promise<number> {
  let last: readonly (Digest | undefined)[] = [];
  try {
    return await waitUntil("equal", withinMs, async () => {
      last = await Promise.all(members.map((member) => member.digest().catch(() => undefined)));
      return last.every((digest) => isEqual(digest, last[0]));
    });
  } catch (thrown) {
    if (!(thrown instanceof Unmet)) throw thrown;
    throw new Unmet(`digests and holdings are not equal within ${withinMs / 1000} s:\n${differences(members, last)}`);
  }
}

/** Throws `Unmet` unless everything is as after no fault at all. */
export async function expectWhole(cluster: Cluster, writer: Writer, withinMs: number): Promise<void> {
  await cluster.met(withinMs);
  await settled(cluster.members, withinMs);
  for (const member of cluster.members) {
    const divergence = await member.metric("patina_divergence_total");
    expectThat(divergence === 0, `${member.name} saw equal holdings with unequal digests ${divergence} times`);
    expectThat(!member.logged().some(({ msg }) => msg === FORKED), `${member.name} saw a forked history`);
  }
  const missing = await writer.missingAt(cluster.member(0)); // The others hold the same.
  expectThat(missing.length === 0, `acknowledged and gone: ${missing.length}, e.g. ${missing.slice(0, 3).join(", ")}`);
}

function isEqual(one: Digest | undefined, other: Digest | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.digest === other.digest && one.gaps + one.quarantined === 0 && holdingsOf(one) === holdingsOf(other);
}

function holdingsOf({ holdings }: Digest): string {
  return JSON.stringify(Object.entries(holdings).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function differences(members: readonly Member[], digests: readonly (Digest | undefined)[]): string {
  return members
    .map(({ name }, i) => {
      const it = digests[i];
      if (it === undefined) return `  ${name} does not answer`;
      const versions = Object.values(it.holdings).reduce((sum, head) => sum + head, 0);
      return `  ${name} ${it.digest.slice(0, 8)} ${versions} versions, ${it.gaps} missing, ${it.quarantined} put aside`;
    })
    .join("\n");
}
