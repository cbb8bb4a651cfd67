/** Members that are there and do not keep up: one that stands still, one behind a slow link. */
import { setTimeout as delay } from "node:timers/promises";
import { systemNow } from "@patina/runtime";
import type { Cluster } from "../cluster/cluster.js";
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds } from "../cluster/wait-until.js";
import type { Load, Writer } from "../cluster/writer.js";
import type { Scenario } from "../scenario.js";
import { expectNoDeaths, isDeadForAll } from "./deaths.js";

const PAUSED_MS = 12_000;
const BACK_WITHIN_MS = 5000;
const SETTLED_WITHIN_MS = 60_000;
const WRITES_PER_SECOND = 50;
/** Far more than 1 Mbit/s carries. */
const FLOOD = { perSecond: 300, bytes: 1000 } as const;
/** How much later the others may be for it, at the median; the machine's own noise is within it. */
const SLOWER_AT_MOST = 2;

export const pause: Scenario = {
  name: "pause",
  title: "a member is stopped for 12 s and goes on: it accuses nobody, and is back at once",
  members: { full: 10, short: 5 },
  async play({ cluster, start, writer, say }) {
    await start();
    const paused = cluster.member(0);
    const others = cluster.others(paused);
    const { wallMs } = systemNow();
    await writer.keepWriting({ members: () => others, perSecond: WRITES_PER_SECOND }, async () => {
      paused.pause();
      await delay(PAUSED_MS);
      expectThat(
        isDeadForAll(others, paused, wallMs),
        `${paused.name} stood still for 12 s and somebody did not notice`,
      );
      paused.resume();
      const backMs = await cluster.met(BACK_WITHIN_MS);
      say(`${paused.name} stood still for 12 s, was taken for dead, and is alive for all ${seconds(backMs)} later`);
    });
    expectNoDeaths([paused], wallMs);
    say(
      `it took nobody for dead; all are equal ${seconds(await settled(cluster.members, SETTLED_WITHIN_MS))} after the last write`,
    );
  },
};

export const slowLink: Scenario = {
  name: "slow-link",
  title: "one member is behind 1 Mbit/s while three times as much is written: the others do not wait for it",
  members: { full: 6, short: 4 },
  async play({ cluster, start, network, writer, size, say }) {
    await start();
    const slow = cluster.member(cluster.members.length - 1);
    const others = cluster.others(slow);
    const lastsMs = size({ full: 20_000, short: 5000 });
    const load = { members: () => others, ...FLOOD };
    const { wallMs } = systemNow();
    const before = await writeAndSettle(writer, cluster, load, lastsMs);
    say(
      `at full speed a write is acknowledged in ${before.p50.toFixed(1)} ms, and all are equal ${seconds(before.settledMs)} after the last`,
    );
    network.limit(slow.port, "1mbit");
    const { latenciesMs } = await writer.keepWriting(load, () => delay(lastsMs));
    const p50 = median(latenciesMs);
    const settledMs = await settled(others, BACK_WITHIN_MS);
    say(
      `with ${slow.name} at 1 Mbit/s in ${p50.toFixed(1)} ms, and the others are equal ${seconds(settledMs)} after the last`,
    );
    expectThat(p50 <= SLOWER_AT_MOST * before.p50 + 1, `the others are slowed down: ${p50.toFixed(1)} ms a write`);
    expectNoDeaths(cluster.members, wallMs);
    network.heal();
    const caughtUpMs = await settled(cluster.members, SETTLED_WITHIN_MS);
    say(`nobody was taken for dead; ${slow.name} has caught up ${seconds(caughtUpMs)} after its link is fast again`);
  },
};

async function writeAndSettle(
  writer: Writer,
  cluster: Cluster,
  load: Load,
  lastsMs: number,
): Promise<{ p50: number; settledMs: number }> {
  const { latenciesMs } = await writer.keepWriting(load, () => delay(lastsMs));
  return { p50: median(latenciesMs), settledMs: await settled(cluster.members, SETTLED_WITHIN_MS) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
