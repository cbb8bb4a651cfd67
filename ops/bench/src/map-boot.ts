/** An index on disk, and processes that start with it: how soon a global agent has its map, and what the map weighs. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Write } from "@patina/base";
import { SCHEMA_FILES } from "@patina/global";
import { readSchema } from "@patina/process";
import { newDbId, newNodeId } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { commitOne } from "./databases.js";

export const INDEX_FILE = "state.db";
export const INDEX_CLUSTER = { name: "global", generation: 1 } as const;

export interface MapBoot {
  readonly apps: number;
  /** From opening the database to the last app in the map. */
  readonly elapsedMs: number;
  /** What the map weighs once it is there. */
  readonly heapBytes: number;
  /** The most that the process ever had in memory. */
  readonly peakBytes: number;
}

const CHILD = fileURLToPath(new URL("./map-boot.child.js", import.meta.url));
const APPS_PER_COMMIT = 500;

/** Each app in each of the regions. */
export function writeIndex(dir: string, apps: number, regions: readonly string[]): void {
  const schemaSql = readSchema(SCHEMA_FILES);
  const path = join(dir, INDEX_FILE);
  const store = new SqliteStore({ path, cluster: INDEX_CLUSTER, node: newNodeId(), newDbId, schemaSql });
  for (let first = 0; first < apps; first += APPS_PER_COMMIT) {
    commitOne(store, placementsOf(first, Math.min(first + APPS_PER_COMMIT, apps), regions));
  }
  store.close();
}

function placementsOf(first: number, end: number, regions: readonly string[]): Write {
  const apps = Array.from({ length: end - first }, (_, i) => `app-${String(first + i).padStart(7, "0")}`);
  const rows = apps.flatMap((app, i) => {
    return regions.map((region, at) => {
      const values = { app, region, class: at === 0 ? "serving" : "standby" };
      return { table: "placements", values, stamp: { epoch: 1, hlc: BigInt(first + i) + 1n } };
    });
  });
  return { kind: "rows", rows };
}

/** In a process of its own, which holds nothing else. */
export async function bootOnce(dir: string, mode: "map" | "bare"): Promise<MapBoot> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", CHILD, dir, mode]);
  return JSON.parse(stdout) as MapBoot;
}
