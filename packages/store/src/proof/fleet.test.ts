/** Stores against an oracle: whatever happens, in whatever order, each shows the greatest stamps of what it holds. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { FLEET_SCHEMA, fleetStep, perform, WALL_MS } from "../testing/fleet-steps.js";
import { Fleet } from "../testing/fleet.js";
import { Scratch } from "../testing/scratch-store.js";

/** `PATINA_PROOF=20 npm test -- fleet` proves for twenty times as long. */
const RUNS = 120 * Number(process.env["PATINA_PROOF"] ?? 1);
const STEPS_MAX = 60;
const NODES = 3;

const scratch = new Scratch("fleet");
afterAll(() => scratch.remove());

test(
  `${RUNS} random histories of ${NODES} stores: rows, digests, holdings and stamps are the oracle's after every step`,
  { timeout: 0 },
  () => {
    let steps = 0;
    fc.assert(
      fc.property(fc.array(fleetStep, { minLength: 20, maxLength: STEPS_MAX, size: "max" }), (history) => {
        const fleet = new Fleet(NODES, FLEET_SCHEMA, WALL_MS, scratch);
        try {
          for (const step of history) {
            fleet.check(perform(fleet, step));
            steps++;
          }
          for (const node of fleet.nodes) fleet.deliver(node, fleet.log.toReversed());
          fleet.check(fleet.nodes);
          expect(new Set(fleet.nodes.map(({ store }) => store.digest())).size).toBe(1);
        } finally {
          fleet.close();
        }
      }),
      { numRuns: RUNS, endOnFailure: process.env["PATINA_SHRINK"] === "0" }, // Mutants only ask whether it fails.
    );
    expect(steps).toBeGreaterThan(RUNS * 20);
    process.stdout.write(`fleet: ${steps} steps checked in ${RUNS} histories\n`);
  },
);
