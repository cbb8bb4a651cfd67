/** What a cluster says when there is nothing to say: three agents that hold the same, of few origins and of many. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Change, must, type Rng } from "@patina/base";
import { commitOne, openStore, rowsWrite } from "../../databases.js";
import { Machines } from "../../machines.js";
import { Region } from "../../region.js";
import { type Figure, figure } from "../../report.js";
import type { SuiteOptions } from "../suite.js";

const AGENTS = 3;
const ORIGINS = [3, 10, 100] as const;
/** Until joining has been talked about. */
const CALM_MS = 3000;

export async function idleFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const seconds = isQuick ? 2 : 20;
  const figures: Figure[] = [];
  for (const origins of ORIGINS) {
    const home = join(dir, `idle-${origins}`);
    mkdirSync(home);
    const region = await Region.start(home, historyOf(origins, home, rng.fork()));
    try {
      await region.settle();
      await delay(isQuick ? 0 : CALM_MS);
      const before = region.sentBytes;
      await delay(seconds * 1000);
      const values = [(region.sentBytes - before) / seconds / AGENTS];
      figures.push(
        figure({ name: `idle, ${origins} origins: sent by an agent, UDP and streams`, unit: "B/s", values }),
      );
    } finally {
      await region.stop();
    }
  }
  return figures;
}

/** A change each, of so many agents that once were. */
function historyOf(origins: number, dir: string, rng: Rng): Change[] {
  const machines = new Machines(origins, rng);
  return Array.from({ length: origins }, (_, i) => {
    const store = openStore(join(dir, `origin-${i}.db`));
    const { change } = commitOne(store, rowsWrite([machines.change(i)]));
    store.close();
    return must(change, "a change");
  });
}
