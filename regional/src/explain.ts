/** What this agent believes of an app, and how far it can be relied on: one tier's part of `patina explain`. */
import type { AgentProcess } from "@patina/process";
import type { BorderDriver } from "./border-driver.js";
import type { Detail } from "./detail.js";

/** Machines counted; an app has fewer. */
const COUNTED_MAX = 10_000;

export function explainApp(
  { store, runtime, nodeId }: AgentProcess,
  border: BorderDriver,
  detail: Detail,
  app: string,
): Readonly<Record<string, unknown>> {
  const { name: region, generation } = store.cluster;
  const { isPublishing, doubts } = border.counts;
  let gaps = 0;
  for (const holding of store.holdings().values()) gaps += holding.gaps.size;
  return {
    region,
    generation,
    node: nodeId,
    class: detail.app(app)?.class ?? null,
    machines: detail.instances(app, COUNTED_MAX).length,
    high_water: String(detail.highWater(app)),
    advertised: border.advertised(app) ?? null,
    publishes: isPublishing,
    doubts,
    synced: runtime.agent.hasSynced,
    peers: runtime.agent.reachable().length,
    gaps,
    quarantined: store.quarantinedCount(),
    hlc: String(store.highWater()),
  };
}
