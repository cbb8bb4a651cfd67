/** Machines that lose power, say goodbye, stand still, run full, come back with an old disk or as two. */
import type { TimedFault } from "./fault.js";
import { at, occasions, type Scene } from "./scene.js";
import { isOn } from "./swarm.js";

export function machineFaults(scene: Scene): TimedFault[] {
  const { rng, endMs } = scene;
  const back = (atMs: number, maxMs: number): number => Math.min(endMs, atMs + rng.between(50, maxMs));
  return [
    ...occasions(scene, "crash", 4, (node, atMs) => [
      at(atMs, { kind: "crash", node }),
      at(back(atMs, 4000), { kind: "restart", node }),
    ]),
    ...occasions(scene, "leave", 2, (node, atMs) => [
      at(atMs, { kind: "leave", node }),
      at(back(atMs, 3000), { kind: "restart", node }),
    ]),
    ...occasions(scene, "old-disk", 2, (node, atMs) => [
      at(rng.between(scene.startMs, atMs), { kind: "copy-disk", node }),
      at(atMs, { kind: "restore-disk", node }),
      at(back(atMs, 2000), { kind: "restart", node }),
    ]),
    ...occasions(scene, "twin", 1, (node, atMs) => [
      at(atMs, { kind: "twin", node }),
      at(back(atMs, 4000), { kind: "end-twin", node }),
    ]),
    ...occasions(scene, "full-disk", 1, (node, atMs) => [
      at(atMs, { kind: "fill-disk", node }),
      at(back(atMs, 3000), { kind: "restart", node }),
    ]),
    ...occasions(scene, "stall", 4, (node, atMs) => [at(atMs, stall(scene, node, 10, 1500))]),
    ...occasions(scene, "long-stall", 1, (node, atMs) => [at(atMs, stall(scene, node, 2000, 60_000))]),
    ...massRestart(scene),
    ...rollingRestart(scene),
  ];
}

function stall({ rng }: Scene, node: number, minMs: number, maxMs: number): TimedFault["fault"] {
  const scope = rng.chance(0.3) ? "main" : "process";
  return { kind: "stall", node, forMs: minMs * (maxMs / minMs) ** rng.float(), scope };
}

/** The power goes and comes back, for all at once. */
function massRestart({ rng, nodes, classes, startMs, endMs }: Scene): TimedFault[] {
  const atMs = rng.between(startMs, endMs - 500);
  if (!isOn(classes, "mass-restart")) return [];
  return Array.from({ length: nodes }, (_, node) => [
    at(atMs + rng.between(0, 20), { kind: "crash", node }),
    at(atMs + rng.between(50, 400), { kind: "restart", node }),
  ]).flat();
}

/** One after the other is stopped and started, as an upgrade does it. */
function rollingRestart({ rng, nodes, classes, startMs, endMs }: Scene): TimedFault[] {
  if (!isOn(classes, "rolling-restart")) return [];
  const everyMs = (endMs - startMs) / (nodes + 1);
  return Array.from({ length: nodes }, (_, node) => [
    at(startMs + node * everyMs, { kind: rng.chance(0.5) ? "leave" : "crash", node }),
    at(startMs + (node + rng.between(0.1, 1.2)) * everyMs, { kind: "restart", node }),
  ]).flat();
}
