/** A region that is lost whole, at any moment, with every disk: what its checkpoints bring back. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Rng } from "@patina/base";
import { systemNow } from "@patina/runtime";
import { settled } from "../cluster/verdict.js";
import { expectThat, seconds, waitUntil } from "../cluster/wait-until.js";
import type { Scenario } from "../scenario.js";

const WRITES_PER_SECOND = 100;
const ROUNDS = { full: 20, short: 1 };
/** It dies at some moment of these. */
const LIVES_MS = { from: 11_000, to: 31_000 };
/** Deltas come every 10 s, and the newest may have been under way. Short runs share their machine with other tests. */
const LOST_MAX_MS = { full: 10_000 + 3000, short: 120_000 };
const SETTLED_WITHIN_MS = 60_000;

export const regionLoss: Scenario = {
  name: "region-loss",
  title: "every member and every disk is lost at once under writes: nothing older than 10 s and an upload is missing",
  members: { full: 3, short: 3 },
  takesCheckpoints: true,
  async play({ cluster, start, writer, size, say }) {
    await start();
    const store = join(cluster.member(0).dir, "..", "checkpoints", "v1", "iad", "m");
    const rng = new Rng(systemNow().wallMs % 2 ** 31);
    const oldestMs: number[] = [];
    const load = { members: () => cluster.running, perSecond: WRITES_PER_SECOND };
    for (let round = 0; round < size(ROUNDS); round++) {
      let killedMs = 0;
      await writer.keepWriting(load, async () => {
        await waitUntil("there is a checkpoint", SETTLED_WITHIN_MS, async () => {
          return (await readdir(store).catch(() => [])).length > 0;
        });
        await delay(LIVES_MS.from + rng.below(LIVES_MS.to - LIVES_MS.from));
        killedMs = systemNow().wallMs;
        await Promise.all(cluster.members.map((member) => member.kill()));
      });
      for (const member of cluster.members) await member.loseDisk();
      const { monotonicMs } = systemNow();
      for (const member of cluster.members) member.start();
      await Promise.all(cluster.members.map((member) => member.ready()));
      await settled(cluster.members, SETTLED_WITHIN_MS);
      const tookMs = systemNow().monotonicMs - monotonicMs;
      const missing = await writer.missingAt(cluster.member(0));
      const lostMs = missing.map((key) => killedMs - (writer.acknowledged.get(key) ?? 0));
      oldestMs.push(Math.max(0, ...lostMs));
      writer.excuse(missing);
      say(`back after ${seconds(tookMs)}; of ${writer.acknowledged.size + missing.length} rows ${missing.length} are missing, the oldest ${seconds(oldestMs.at(-1) ?? 0)} old`); // prettier-ignore
    }
    const worstMs = Math.max(...oldestMs);
    say(`${oldestMs.length} losses: the oldest row missing was written ${seconds(worstMs)} before`);
    expectThat(worstMs <= size(LOST_MAX_MS), `a row written ${seconds(worstMs)} before the loss is missing`);
  },
};
