/** Paths that are cut, clogged or slow, and streams that break in the middle. */
import type { Rng } from "@patina/base";
import type { Direction, TimedFault } from "./fault.js";
import { at, occasions, type Scene } from "./scene.js";

export function networkFaults(scene: Scene): TimedFault[] {
  const { rng, nodes, endMs } = scene;
  return [
    ...occasions(scene, "partition", 2, (_node, atMs) => [
      at(atMs, { kind: "partition", cut: cutOf(rng, nodes) }),
      at(Math.min(endMs, atMs + rng.between(300, 5000)), { kind: "heal" }),
    ]),
    ...occasions(scene, "long-partition", 1, () => [
      at(scene.startMs + 200, { kind: "partition", cut: cutOf(rng, nodes) }), // To the end: others are given up meanwhile.
    ]),
    ...occasions(scene, "clog", 3, (node, atMs) => [at(atMs, { kind: "clog", node, forMs: rng.between(50, 3000) })]),
    ...occasions(scene, "stream-reset", 6, (node, atMs) => [at(atMs, { kind: "reset-streams", node })]),
    ...occasions(scene, "slow-reader", 1, (node, atMs) => [
      at(atMs, { kind: "read-slowly", node, bytesPerMs: 0.02 * 100 ** rng.float() }),
      at(endMs, { kind: "read-slowly", node, bytesPerMs: 0 }),
    ]),
  ];
}

/** In halves, one node alone, two halves and a bridge, or any paths at all; both ways, or one way only. */
function cutOf(rng: Rng, nodes: number): Direction[] {
  const shape = rng.pick(["halves", "alone", "bridge", "any"] as const);
  const isOneWay = rng.chance(0.3);
  const one = rng.below(nodes);
  const left = new Set(Array.from({ length: nodes }, (_, i) => i).filter(() => rng.chance(0.5)));
  const isCut = (a: number, b: number): boolean => {
    if (shape === "any") return rng.chance(0.3);
    if (shape === "alone") return isOneWay ? a === one : a === one || b === one;
    if (shape === "bridge" && (a === one || b === one)) return false;
    return left.has(a) !== left.has(b) && (!isOneWay || left.has(a));
  };
  const all = Array.from({ length: nodes * nodes }, (_, i): Direction => [Math.floor(i / nodes), i % nodes]);
  return all.filter(([a, b]) => a !== b && isCut(a, b));
}
