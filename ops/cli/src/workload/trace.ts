/**
 * A trace of real instances as CSV, with the columns `instance_sn, role, app_name, cpu_request, gpu_request,
 * memory_request, creation_time, scheduled_time, deletion_time` (seconds; empty: before its start or after its end),
 * turned into what happened when, to which machine, in which region.
 */
import { readFileSync } from "node:fs";
import { AppError, messageOf, must } from "@patina/base";
import { type Instance, regionOfInstance } from "./instance.js";

export interface TraceEvent {
  /** Seconds from the start of the trace; 0 for what was there before. */
  readonly atSeconds: number;
  readonly region: string;
  readonly instance: Instance;
  readonly state: "created" | "started" | "gone";
}

const COLUMNS = [
  "instance_sn",
  "role",
  "app_name",
  "cpu_request",
  "gpu_request",
  "memory_request",
  "creation_time",
  "scheduled_time",
  "deletion_time",
] as const;

type Row = Record<(typeof COLUMNS)[number], string>;

/** Events in order of time. Throws `bad-request` with the line that is not one. */
export function readTrace(path: string, regions: readonly string[]): TraceEvent[] {
  const rows = readRows(path);
  const sizes = new Map<string, number>();
  for (const { app_name: app } of rows) sizes.set(app, (sizes.get(app) ?? 0) + 1);
  const events = rows.flatMap((row) => eventsOf(row, must(sizes.get(row.app_name), "a size"), regions));
  return events.sort((a, b) => a.atSeconds - b.atSeconds);
}

function eventsOf(row: Row, size: number, regions: readonly string[]): TraceEvent[] {
  const gpus = Number(row.gpu_request);
  const instance: Instance = {
    id: row.instance_sn,
    app: row.app_name,
    role: gpus > 0 ? "gpu" : "cpu",
    cpus: Number(row.cpu_request),
    memoryMb: Math.round(Number(row.memory_request) * 1024),
    gpus,
  };
  const region = regionOfInstance(instance, size, regions);
  const createdAt = Number(row.creation_time);
  const startedAt = row.scheduled_time === "" ? createdAt : Number(row.scheduled_time);
  const events: TraceEvent[] = [];
  if (startedAt > createdAt) events.push({ atSeconds: createdAt, region, instance, state: "created" });
  events.push({ atSeconds: startedAt, region, instance, state: "started" });
  if (row.deletion_time !== "") events.push({ atSeconds: Number(row.deletion_time), region, instance, state: "gone" });
  return events;
}

function readRows(path: string): Row[] {
  const lines = readText(path).split(/\r?\n/);
  const header = (lines.shift() ?? "").split(",");
  const at = COLUMNS.map((name) => header.indexOf(name));
  const absent = COLUMNS.filter((_, i) => at[i] === -1);
  if (absent.length > 0) {
    throw new AppError("bad-request", `${path} is not a trace: it has no column ${absent.join(", ")}`, {
      hint: `The first line names the columns; these are needed: ${COLUMNS.join(", ")}.`,
    });
  }
  return lines.flatMap((line, i) => {
    if (line === "") return [];
    const cells = line.split(",");
    if (cells.length !== header.length) {
      throw new AppError(
        "bad-request",
        `${path}:${i + 2}: ${cells.length} cells where the header has ${header.length}`,
      );
    }
    return [Object.fromEntries(COLUMNS.map((name, c) => [name, cells[at[c] ?? -1] ?? ""])) as Row];
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new AppError("bad-request", `cannot read the trace ${path}: ${messageOf(cause)}`, { cause });
  }
}
