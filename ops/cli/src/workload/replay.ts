/** Replays a trace into a fleet, time-compressed: what happened within one tick of real time is written together. */
import type { Fleet } from "../fleet/fleet-file.js";
import { insertStatement } from "./instance.js";
import { type Job, Loader } from "./loader.js";
import type { TraceEvent } from "./trace.js";

const TICK_MS = 50;

export interface ReplayProgress {
  readonly events: number;
  readonly of: number;
  readonly traceSeconds: number;
}

export interface ReplayResult {
  readonly events: number;
  readonly traceSeconds: number;
  readonly realSeconds: number;
  /** Trace seconds a real second, as it went. */
  readonly speed: number;
}

/** `speed`: trace seconds a real second. Falls behind rather than skip anything. */
export async function replay(
  fleet: Fleet,
  events: readonly TraceEvent[],
  speed: number,
  monotonicMs: () => number,
  onProgress: (progress: ReplayProgress) => void = () => undefined,
): Promise<ReplayResult> {
  const loader = new Loader(fleet);
  const began = monotonicMs();
  let next = 0;
  while (next < events.length) {
    const traceNow = ((monotonicMs() - began) / 1000) * speed;
    const batch: Job[] = [];
    for (let event = events[next]; event !== undefined && event.atSeconds <= traceNow; event = events[++next]) {
      batch.push(jobOf(event));
    }
    if (batch.length > 0) await loader.write(batch);
    onProgress({ events: next, of: events.length, traceSeconds: traceNow });
    const tookMs = (monotonicMs() - began) % TICK_MS;
    if (next < events.length) await new Promise((resolve) => setTimeout(resolve, TICK_MS - tookMs));
  }
  const realSeconds = (monotonicMs() - began) / 1000;
  const traceSeconds = events.at(-1)?.atSeconds ?? 0;
  return { events: events.length, traceSeconds, realSeconds, speed: traceSeconds / realSeconds };
}

function jobOf({ region, instance, state }: TraceEvent): Job {
  const key = instance.id;
  if (state === "gone") return { region, key, statement: () => ["DELETE FROM machines WHERE id = ?", [instance.id]] };
  return { region, key, statement: (worker) => insertStatement(instance, worker, state) };
}
