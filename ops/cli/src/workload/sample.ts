/**
 * A sample fleet, from a seed, shaped like a published production trace of an inference service (Alibaba
 * cluster-trace-gpu-v2025): 156 apps, the four largest with 10.7, 7.6, 3.9 and 3.2 % of all machines and a long tail,
 * 69 % of machines CPU only.
 */
import { hash32, Rng } from "@patina/base";
import type { Instance } from "./instance.js";

export const SAMPLE = { apps: 156, machines: 2400, seed: 2025 } as const;

const LARGEST = [0.107, 0.076, 0.039, 0.032];
/** How fast the tail falls: the median app has about a sixth of a percent, the smallest a few machines. */
const TAIL_EXPONENT = 1.05;
const CPU_ONLY = 0.69;
const WORDS = [
  "rank",
  "recall",
  "embed",
  "feed",
  "ads",
  "search",
  "vision",
  "audio",
  "chat",
  "score",
  "index",
  "cache",
];

export function sampleFleet(
  machines: number = SAMPLE.machines,
  apps: number = SAMPLE.apps,
  seed: number = SAMPLE.seed,
): Instance[] {
  const rng = new Rng(seed);
  return appSizes(machines, apps).flatMap((size, rank) => {
    const app = `${WORDS[hash32(`word ${rank}`) % WORDS.length]}-${rank}`;
    return Array.from({ length: size }, (_, i): Instance => {
      const isCpuOnly = rng.chance(CPU_ONLY);
      return {
        id: `${app}-${i.toString().padStart(4, "0")}`,
        app,
        role: isCpuOnly ? "cpu" : "gpu",
        cpus: isCpuOnly ? 64 : 12,
        memoryMb: isCpuOnly ? 320 << 10 : 120 << 10,
        gpus: isCpuOnly ? 0 : 1,
      };
    });
  });
}

/** Machines of each app, largest first. */
function appSizes(machines: number, apps: number): number[] {
  const rest = 1 - LARGEST.reduce((sum, share) => sum + share, 0);
  const weights = Array.from({ length: apps - LARGEST.length }, (_, i) => 1 / (i + LARGEST.length) ** TAIL_EXPONENT);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = [...LARGEST, ...weights.map((weight) => (weight / total) * rest)];
  return shares.map((share) => Math.max(1, Math.round(share * machines)));
}
