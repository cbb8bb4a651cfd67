/** The one place that reads a clock. */
import { performance } from "node:perf_hooks";
import type { Now } from "@patina/base";

export function systemNow(): Now {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}
