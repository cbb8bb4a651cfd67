/**
 * A process that starts with a full index on its disk and gets its map from it, as a global agent does before it opens a
 * socket; or, with `bare`, one that only reads the rows. What it took goes to standard output, a line of JSON.
 */
import { join } from "node:path";
import { RibFiles, SCHEMA_FILES, StoreRows } from "@patina/global";
import { readSchema } from "@patina/process";
import { Rib } from "@patina/router";
import { newDbId, newNodeId, systemNow } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { createLogger } from "@patina/telemetry";
import Database from "better-sqlite3";
import { INDEX_CLUSTER, INDEX_FILE, type MapBoot } from "./map-boot.js";

const [dir = ".", mode] = process.argv.slice(2);
const path = join(dir, INDEX_FILE);
const before = heapBytes();
const startMs = performance.now();
const apps = mode === "bare" ? readBare() : loadMap();
const elapsedMs = performance.now() - startMs;
const peakBytes = process.resourceUsage().maxRSS * 1024;
const report: MapBoot = { apps: apps(), elapsedMs, heapBytes: heapBytes() - before, peakBytes };
process.stdout.write(`${JSON.stringify(report)}\n`);

/** Hands back how many apps the map has: while that can be asked, the map is not garbage. */
function loadMap(): () => number {
  const store = new SqliteStore({
    path,
    cluster: INDEX_CLUSTER,
    node: newNodeId(),
    newDbId,
    schemaSql: readSchema(SCHEMA_FILES),
  });
  const { journal, quarantine, switches } = new RibFiles(dir, createLogger("silent", "bench"));
  const rib = new Rib({
    rows: new StoreRows(store),
    journal,
    quarantine,
    switches: () => switches,
    wallMs: () => systemNow().wallMs,
    onQuarantined: ({ reason }) => {
      throw new Error(`a row of the bench's own is bad: ${reason}`);
    },
  });
  rib.reload();
  return () => rib.fib.size;
}

function readBare(): () => number {
  const rows = new Database(path, { readonly: true })
    .prepare("SELECT app, region, class FROM placements ORDER BY app, region")
    .raw()
    .iterate() as Iterable<[string, string, string]>;
  const seen = new Set<string>();
  for (const [app] of rows) seen.add(app);
  return () => seen.size;
}

function heapBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.exit();
