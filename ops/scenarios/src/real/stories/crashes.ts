/** Processes that end: in the middle of their work, or in order. */
import { must } from "@patina/base";
import { systemNow } from "@patina/runtime";
import type { Member } from "../cluster/member.js";
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds, waitUntil } from "../cluster/wait-until.js";
import type { Scenario } from "../scenario.js";
import { deathMs, isDeadForAll } from "./deaths.js";

/** Short runs share their machine with other tests: members that find themselves late give a suspect more time. */
const DETECTED_WITHIN_MS = { full: 8000, short: 30_000 };
const SETTLED_WITHIN_MS = 20_000;
const WRITES_PER_SECOND = 50;

export const crash: Scenario = {
  name: "crash",
  title: "a member is killed with SIGKILL under writes: all others know within 8 s, and it catches up",
  members: { full: 10, short: 5 },
  async play({ cluster, start, writer, say, size }) {
    await start();
    const victim = cluster.member(cluster.members.length - 1);
    const others = cluster.others(victim);
    const load = { members: () => cluster.running, perSecond: WRITES_PER_SECOND };
    await writer.keepWriting(load, async () => {
      const killedMs = systemNow().wallMs;
      await victim.kill();
      await waitUntil(`all others know that ${victim.name} is dead`, size(DETECTED_WITHIN_MS), () => {
        return isDeadForAll(others, victim, killedMs);
      });
      const detectedMs = others.map((member) => must(deathMs(member, victim, killedMs), "a death") - killedMs);
      const [first, last] = [Math.min(...detectedMs), Math.max(...detectedMs)];
      say(`${victim.name} is killed: the first knows after ${seconds(first)}, the last after ${seconds(last)}`);
      victim.start();
      await victim.ready();
    });
    say(
      `it is back, and all are equal ${seconds(await settled(cluster.members, SETTLED_WITHIN_MS))} after the last write`,
    );
  },
};

export const rollingRestart: Scenario = {
  name: "rolling-restart",
  title: "every member is stopped and started in turn under writes: none that was acknowledged is lost",
  members: { full: 10, short: 3 },
  async play({ cluster, start, writer, say }) {
    await start();
    const load = { members: () => cluster.running.filter((member) => member !== next), perSecond: WRITES_PER_SECOND };
    let next: Member | undefined;
    const { latenciesMs, refused } = await writer.keepWriting(load, async () => {
      for (const member of cluster.members) {
        next = member; // As behind a load balancer: nobody asks it any more.
        await member.stop();
        member.start();
        await member.ready();
        next = undefined;
      }
    });
    say(`all ${cluster.members.length} restarted: ${latenciesMs.length} writes acknowledged, ${refused} refused`);
    expectThat(refused === 0, `${refused} writes were refused by members that were not restarting`);
    say(`all are equal ${seconds(await settled(cluster.members, SETTLED_WITHIN_MS))} after the last write`);
  },
};
