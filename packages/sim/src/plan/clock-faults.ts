/** Wall clocks that are off, run fast, are set, or stand still. Monotonic clocks are right. */
import type { TimedFault } from "./fault.js";
import { at, occasions, type Scene } from "./scene.js";
import { isOn } from "./swarm.js";

const HOUR_MS = 3_600_000;

export function clockFaults(scene: Scene): TimedFault[] {
  const { rng } = scene;
  return [
    ...occasions(scene, "clock-step", 2, (node, atMs) => [
      at(atMs, {
        kind: "step-clock",
        node,
        byMs: rng.chance(0.5) ? rng.between(-HOUR_MS, HOUR_MS) : rng.between(-3000, 3000),
      }),
    ]),
    ...occasions(scene, "clock-freeze", 2, (node, atMs) => [
      at(atMs, { kind: "freeze-clock", node, forMs: rng.between(200, 5000) }),
    ]),
  ];
}

export function driftsOf({ rng, nodes, classes }: Scene): { clockOffsetsMs: number[]; clockDrifts: number[] } {
  const offsetMs = rng.chance(0.5) ? 300 : 6000;
  const draw = (isWanted: boolean, low: number, high: number): number[] =>
    Array.from({ length: nodes }, () => rng.between(low, high)).map((it) => (isWanted ? it : 0));
  return {
    clockOffsetsMs: draw(isOn(classes, "clock-offset"), -offsetMs, offsetMs),
    clockDrifts: draw(isOn(classes, "clock-drift"), -0.5, 9),
  };
}
