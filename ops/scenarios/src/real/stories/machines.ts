/** Machines that go wrong beneath a member: a disk that is full, a clock that is an hour ahead. */
import { join } from "node:path";
import { must } from "@patina/base";
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds, waitUntil } from "../cluster/wait-until.js";
import { SmallDisk } from "../enclosure/small-disk.js";
import { isFakeTimeInstalled, WrongClock } from "../enclosure/wrong-clock.js";
import type { Scenario } from "../scenario.js";

const DISK_MEGABYTES = 32;
const ENDS_WITHIN_MS = 10_000;
const SETTLED_WITHIN_MS = 20_000;
const ALARM_WITHIN_MS = 10_000;
const CLOCK_AHEAD = "a clock is far ahead, and its changes wait";

export const fullDisk: Scenario = {
  name: "full-disk",
  title: "one member's disk is full: it ends rather than serve what it cannot keep, and the others go on",
  members: { full: 5, short: 3 },
  async play({ cluster, start, writer, size, say }) {
    const full = cluster.member(0);
    const disk = new SmallDisk(join(full.dir, "disk"), DISK_MEGABYTES);
    await start();
    const others = cluster.others(full);
    const writes = size({ full: 5000, short: 500 });
    await writer.write(cluster.members, writes);
    disk.fill();
    await writer.write(others, writes);
    await full.ended(ENDS_WITHIN_MS);
    say(`${full.name} has ended: ${full.lastWords()}`);
    say(
      `the others took ${writes} more writes and are equal after ${seconds(await settled(others, SETTLED_WITHIN_MS))}`,
    );
    disk.clear();
    full.start();
    await full.ready();
    say(
      `with room again it starts, and all are equal after ${seconds(await settled(cluster.members, SETTLED_WITHIN_MS))}`,
    );
  },
};

export const clockAhead: Scenario = {
  name: "clock-ahead",
  title: "one clock is an hour ahead: its changes wait, with an alarm, and nobody else is dragged along",
  members: { full: 5, short: 3 },
  whyNot: () => (isFakeTimeInstalled() ? undefined : "libfaketime is not installed"),
  async play({ cluster, start, writer, size, say }) {
    const clocks = cluster.members.map((member) => {
      const clock = new WrongClock(member.dir);
      member.setEnvironment(clock.env);
      return clock;
    });
    await start();
    const ahead = cluster.member(0);
    const others = cluster.others(ahead);
    const writes = size({ full: 2000, short: 200 });
    await writer.write(cluster.members, writes);
    await settled(cluster.members, SETTLED_WITHIN_MS);
    must(clocks[0], "a clock").set("+1h");
    await waitUntil(`the clock of ${ahead.name} is seen to step`, ALARM_WITHIN_MS, async () => {
      await writer.write([ahead], 1);
      return others.every((member) => member.logged().some(({ msg }) => msg === CLOCK_AHEAD));
    });
    say(`${ahead.name} is an hour ahead and writes: every other raises the alarm`);
    await writer.write(others, writes);
    const [other] = others;
    const equalMs = await settled(others, SETTLED_WITHIN_MS);
    const waiting = (await writer.missingAt(must(other, "another member"))).length;
    expectThat(waiting > 0, "a change from an hour ahead was taken at once");
    say(`the others write on and are equal after ${seconds(equalMs)}; ${waiting} changes wait`);
    for (const clock of clocks) clock.set("+1h");
    say(`an hour later all are equal after ${seconds(await settled(cluster.members, SETTLED_WITHIN_MS))}`);
  },
};
