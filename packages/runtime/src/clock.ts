/** The one place that reads a clock. */
import { performance } from "node:perf_hooks";
import type { Now } from "@patina/base";

export function systemNow(): Now {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

/** Nanoseconds on the machine's monotonic clock: two threads read the same, where `monotonicMs` begins with each. */
export function machineNs(): bigint {
  return process.hrtime.bigint();
}
