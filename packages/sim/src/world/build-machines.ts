/** The machines of a world: those planned, and for every twin in the plan one more, which starts when its time comes. */
import { join } from "node:path";
import { must } from "@patina/base";
import { SIM_CLUSTER } from "../machine/cluster.js";
import { addressOf, hexDigits, Machine } from "../machine/machine.js";
import type { WrapStore } from "../machine/process.js";
import type { World } from "./world.js";

export function buildMachines(world: World, home: string, wrapStore: WrapStore | undefined): Machine[] {
  const { plan, rng, chronicle, coverage } = world;
  const ids = Array.from({ length: plan.nodes }, () => hexDigits(rng, 32));
  const twins = plan.faults.flatMap(({ fault }) => (fault.kind === "twin" ? [must(ids[fault.node], "a node")] : []));
  return [...ids, ...twins].map(
    (nodeId, index) =>
      new Machine({
        index,
        nodeId,
        home: join(home, `node-${index}`),
        cluster: SIM_CLUSTER,
        seeds: [addressOf(0), addressOf(1)],
        evictAfterMs: plan.evictAfterMs,
        directMembersMax: plan.directMembersMax,
        rng: rng.fork(),
        wrapStore,
        report: {
          committed: (change, rows) => chronicle.committed(index, change, rows),
          broken: (rule, what) => chronicle.broken(rule, `node ${index}: ${what}`),
          passed: (path) => coverage.seen.add(path),
        },
      }),
  );
}
