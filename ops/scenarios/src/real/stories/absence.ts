/** A member that was away while very much happened. */
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds } from "../cluster/wait-until.js";
import type { Scenario } from "../scenario.js";
import { systemNow } from "@patina/runtime";

const CATCHES_UP_WITHIN_MS = 120_000;
const BOOTSTRAP_DONE = "catching up by snapshot: done";
/** Versions for each row: what happened is more than what there is. */
const VERSIONS_PER_ROW = 10;

export const absence: Scenario = {
  name: "absence",
  title: "a member misses more versions (200,000) than it could ask for: it catches up by snapshot",
  members: { full: 3, short: 3 },
  async play({ cluster, start, writer, size, say }) {
    await start();
    const away = cluster.member(2);
    const others = cluster.others(away);
    await away.stop();
    const versions = size({ full: 200_000, short: 60_000 });
    const { monotonicMs } = systemNow();
    await writer.overwrite(others, versions, versions / VERSIONS_PER_ROW);
    await settled(others, CATCHES_UP_WITHIN_MS);
    say(
      `${away.name} is away while ${versions} versions are written in ${seconds(systemNow().monotonicMs - monotonicMs)}`,
    );
    const startMs = systemNow();
    away.start();
    await away.ready();
    const readyMs = systemNow().monotonicMs - startMs.monotonicMs;
    await settled(cluster.members, CATCHES_UP_WITHIN_MS);
    say(
      `it is ready ${seconds(readyMs)} after its start, and equal after ${seconds(systemNow().monotonicMs - startMs.monotonicMs)}`,
    );
    const isDone = away.logged(startMs.wallMs).some(({ msg }) => msg === BOOTSTRAP_DONE);
    expectThat(isDone, `${away.name} did not catch up by snapshot`);
  },
};
