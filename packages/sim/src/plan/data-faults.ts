/** What reaches a node's data the wrong way, or while the ground moves under it. */
import { at, occasions, type Scene } from "./scene.js";
import type { StrangerKind, TimedFault } from "./fault.js";

const STRANGERS: readonly StrangerKind[] = [
  "other-protocol",
  "other-generation",
  "other-cluster",
  "noise",
  "no-greeting",
];

export function dataFaults(scene: Scene): TimedFault[] {
  const { rng, endMs } = scene;
  return [
    ...occasions(scene, "stranger", 5, (node, atMs) => [
      at(atMs, { kind: "stranger", node, says: rng.pick(STRANGERS) ?? "noise" }),
    ]),
    ...occasions(scene, "other-protocol", 1, (node, atMs) => [
      at(atMs, { kind: "speak-other-protocol", node, isOn: true }),
      at(atMs, { kind: "reset-streams", node }),
      at(Math.min(endMs, atMs + rng.between(500, 3000)), { kind: "speak-other-protocol", node, isOn: false }),
    ]),
    ...occasions(scene, "poison", 1, (node, atMs) => [at(atMs, { kind: "poison", node })]),
    ...occasions(scene, "schema-change", 2, (node, atMs) => [at(atMs, { kind: "change-schema", node })]),
  ];
}
