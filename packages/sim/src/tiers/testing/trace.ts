/**
 * A published production trace (Alibaba Cluster Trace Program, cluster-trace-gpu-v2025) as machines of regions: it has no
 * regions of its own, so an app is in as many as its size asks for, and an instance in one of those by a hash of its name.
 */
import { readFileSync } from "node:fs";
import { hash32, must } from "@patina/base";

export interface TraceEvent {
  /** Seconds from the start of the trace. */
  readonly atSeconds: number;
  readonly region: number;
  readonly machine: string;
  readonly app: string;
  readonly isUp: boolean;
}

/** Instances that make one more region worth it. */
const INSTANCES_PER_REGION = 20;

/** Every instance's coming, and its going if it went; in the order of time. */
export function readTrace(path: string, regions: number): TraceEvent[] {
  const [header = "", ...lines] = readFileSync(path, "utf8").trim().split("\n");
  const columns = new Map(header.split(",").map((name, i) => [name, i]));
  const rows = lines.map((line) => line.split(","));
  const of = (row: readonly string[], name: string): string => row[must(columns.get(name), name)] ?? "";
  const sizes = new Map<string, number>();
  for (const row of rows) sizes.set(of(row, "app_name"), (sizes.get(of(row, "app_name")) ?? 0) + 1);
  const events = rows.flatMap((row): TraceEvent[] => {
    const [app, machine] = [of(row, "app_name"), of(row, "instance_sn")];
    const spread = Math.min(regions, 1 + Math.floor((sizes.get(app) ?? 0) / INSTANCES_PER_REGION));
    const region = (hash32(app) + (hash32(`${app}/${machine}`) % spread)) % regions;
    const up = { atSeconds: Number(of(row, "creation_time") || 0), region, machine, app, isUp: true };
    const goneSeconds = of(row, "deletion_time");
    return goneSeconds === "" ? [up] : [up, { ...up, atSeconds: Number(goneSeconds), isUp: false }];
  });
  return events.sort((a, b) => a.atSeconds - b.atSeconds);
}
