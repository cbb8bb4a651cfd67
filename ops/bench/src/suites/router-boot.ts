/** A global agent that starts with the whole index on its disk: how soon it has its map, and what the map weighs. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bootOnce, type MapBoot, writeIndex } from "../map-boot.js";
import { type Figure, figure } from "../report.js";
import { interleave } from "../rounds.js";
import type { SuiteOptions } from "./suite.js";

const REGIONS = ["fra", "iad", "sin"];
const FULL = { apps: 1_000_000, rounds: 3 };
const QUICK = { apps: 5000, rounds: 2 };
const MIB = 2 ** 20;

export async function routerBoot({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { apps, rounds } = isQuick ? QUICK : FULL;
  const own = join(dir, "index");
  await mkdir(own);
  writeIndex(own, apps, REGIONS);
  const results = await interleave(
    { bare: () => bootOnce(own, "bare"), map: () => bootOnce(own, "map") },
    { rounds, rng },
  );
  await rm(own, { recursive: true });
  const of = `${apps / 1000}k apps × ${REGIONS.length} regions`;
  const all = (name: string, unit: string, boots: readonly MapBoot[], value: (boot: MapBoot) => number) => {
    return { name: `${name}, ${of}`, unit, values: boots.map(value) };
  };
  const bare = all("index read from disk, bare", "s", results.bare, ({ elapsedMs }) => elapsedMs / 1000);
  const map = all("map built from disk", "s", results.map, ({ elapsedMs }) => elapsedMs / 1000);
  return [
    figure(bare),
    figure(map, { versus: bare, better: "less" }),
    figure(all("map in memory", "MiB", results.map, ({ heapBytes }) => heapBytes / MIB)),
    figure(all("its process at most", "MiB", results.map, ({ peakBytes }) => peakBytes / MIB)),
  ];
}
