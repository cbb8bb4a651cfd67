/** Networks that lose what is sent: all of it one way or both, or some of it. */
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { systemNow } from "@patina/runtime";
import type { Cluster } from "../cluster/cluster.js";
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds, waitUntil } from "../cluster/wait-until.js";
import type { Scenario } from "../scenario.js";
import { expectNoDeaths, isDeadForAll } from "./deaths.js";

const EQUAL_AFTER_HEAL_MS = 2000;
const SETTLED_WITHIN_MS = 30_000;
const PARTED_WITHIN_MS = 30_000;
const PASSED_ON_WITHIN_MS = 5000;
const WRITES_PER_SECOND = 50;

export const partition: Scenario = {
  name: "partition",
  title:
    "the cluster falls in two halves that both go on writing: once it is healed, all are equal within 2 s beside the work of it",
  members: { full: 10, short: 6 },
  async play({ cluster, start, network, writer, size, say }) {
    await start();
    const half = Math.floor(cluster.members.length / 2);
    const [left, right] = [cluster.members.slice(0, half), cluster.members.slice(half)] as const;
    const [ports, others] = [left.map(({ port }) => port), right.map(({ port }) => port)] as const;
    const cutMs = systemNow();
    network.cut(ports, others);
    network.cut(others, ports);
    const writes = size({ full: 10_000, short: 500 });
    await Promise.all([writer.write(left, writes), writer.write(right, writes)]);
    say(`parted, and ${writes} writes acknowledged a side in ${seconds(systemNow().monotonicMs - cutMs.monotonicMs)}`);
    await waitUntil("each half takes the other for dead", PARTED_WITHIN_MS, () => {
      const isDead = (side: typeof left, whom: typeof left): boolean => whom.every((it) => isDeadForAll(side, it, cutMs.wallMs)); // prettier-ignore
      return isDead(left, right) && isDead(right, left);
    });
    await delay(Math.max(0, size({ full: 60_000, short: 0 }) - (systemNow().monotonicMs - cutMs.monotonicMs)));
    const spentMs = cpuMsOf(cluster);
    network.heal();
    const tookMs = await settled(cluster.members, SETTLED_WITHIN_MS);
    const workMs = (cpuMsOf(cluster) - spentMs) / availableParallelism();
    say(`healed, and all are equal after ${seconds(tookMs)}, with all cores at it for ${seconds(workMs)}`);
    // On machines of their own they would do that work side by side.
    const waitedMs = tookMs - workMs;
    expectThat(waitedMs <= EQUAL_AFTER_HEAL_MS, `equal after ${seconds(tookMs)}, ${seconds(waitedMs)} of them idle`);
  },
};

export const oneWayCut: Scenario = {
  name: "one-way-cut",
  title: "one member no longer hears another: the others vouch for it, and pass on what it writes",
  members: { full: 10, short: 5 },
  async play({ cluster, start, network, writer, size, say }) {
    await start();
    const [deaf, unheard] = [cluster.member(0), cluster.member(1)];
    const { wallMs } = systemNow();
    network.cut([unheard.port], [deaf.port]);
    const load = { members: () => [unheard], perSecond: WRITES_PER_SECOND };
    await writer.keepWriting(load, () => delay(size({ full: 30_000, short: 8000 })));
    const tookMs = await waitUntil(`${deaf.name} has what ${unheard.name} wrote`, PASSED_ON_WITHIN_MS, async () => {
      return (await writer.missingAt(deaf)).length === 0;
    });
    say(`${deaf.name} has all that ${unheard.name} wrote ${seconds(tookMs)} after the last write, by way of others`);
    expectNoDeaths(cluster.members, wallMs);
    say("nobody was taken for dead");
    network.heal();
  },
};

export const loss: Scenario = {
  name: "loss",
  title: "one datagram in ten is lost, for everyone: nobody is taken for dead",
  members: { full: 10, short: 5 },
  async play({ cluster, start, network, writer, size, say }) {
    await start();
    const { wallMs } = systemNow();
    const lastsMs = size({ full: 60_000, short: 8000 });
    network.loseDatagrams(10);
    await writer.keepWriting({ members: () => cluster.members, perSecond: WRITES_PER_SECOND }, () => delay(lastsMs));
    expectNoDeaths(cluster.members, wallMs);
    say(`no false death in ${seconds(lastsMs)} among ${cluster.members.length} members`);
    network.heal();
  },
};

function cpuMsOf({ members }: Cluster): number {
  return members.reduce((sum, member) => sum + member.cpuMs(), 0);
}
