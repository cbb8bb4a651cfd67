/**
 * From one region to the world, on real processes: how long after the first machine of an app was written a router resolves
 * it; and after its last one is gone, how long until the region denies it and until its row has left the index.
 */
import { PatinaClient } from "@patina/api";
import { systemNow } from "@patina/runtime";
import { DevFleet } from "../dev-fleet.js";
import { type Figure, figureAlone } from "../report.js";
import type { SuiteOptions } from "./suite.js";

const HOLD_DOWN_MS = 1000;
/** So many of the apps go that the brake lets them: it is there for a fifth and more. */
const FULL = { apps: 300, gone: 40 };
const QUICK = { apps: 60, gone: 9 };
const GOAL_MS = 500;
const POLL_MS = 2;
const GIVE_UP_MS = 20_000;
const REGION = "iad";

export async function acrossTiers({ isQuick, dir }: SuiteOptions): Promise<Figure[]> {
  const { apps, gone } = isQuick ? QUICK : FULL;
  const fleet = await DevFleet.start(dir, HOLD_DOWN_MS);
  try {
    const agent = new PatinaClient(fleet.api(REGION, 0));
    const router = new PatinaClient(fleet.api("global", 1));
    const resolved: number[] = [];
    for (let i = 0; i < apps; i++) resolved.push(await timeOf(put(agent, i, "started"), () => isFound(router, i)));
    const denied: number[] = [];
    const withdrawn: Promise<number>[] = [];
    for (let i = 0; i < gone; i++) {
      const written = put(agent, i, "destroyed");
      withdrawn.push(timeOf(written, () => isOutOfIndex(router, i)));
      denied.push(await timeOf(written, async () => !(await isFound(router, i))));
    }
    return figuresOf({ resolved, denied, withdrawn: await Promise.all(withdrawn) });
  } finally {
    await fleet.stop();
  }
}

function figuresOf({
  resolved,
  denied,
  withdrawn,
}: Readonly<Record<"resolved" | "denied" | "withdrawn", number[]>>): Figure[] {
  const unit = "ms";
  const goal = { of: "value", atMost: GOAL_MS } as const;
  const late = withdrawn.map((ms) => ms - HOLD_DOWN_MS);
  const line = (name: string, values: readonly number[], p: number): Figure => {
    return figureAlone({ name: `${name}, p${p}`, unit, values: [percentile(values, p)] }, goal);
  };
  return [
    ...[50, 99].map((p) => line("first machine up → another region's router resolves it", resolved, p)),
    ...[50, 99].map((p) => line("last machine gone → the region denies it", denied, p)),
    ...[50, 99].map((p) => line("last machine gone → out of the index, beyond the hold-down", late, p)),
  ];
}

/** From the moment the write was answered until `isSo` says so, asked again and again. */
async function timeOf(written: Promise<unknown>, isSo: () => Promise<boolean>): Promise<number> {
  await written;
  const beganMs = systemNow().monotonicMs;
  while (!(await isSo())) {
    if (systemNow().monotonicMs - beganMs > GIVE_UP_MS) throw new Error(`not within ${GIVE_UP_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return systemNow().monotonicMs - beganMs;
}

async function put(agent: PatinaClient, i: number, state: string): Promise<unknown> {
  const body = { id: `m${i}`, app: `bench-${i}`, worker: "w0", state, address: "10.0.0.1:80" };
  return agent.request("/v1/tables/machines/rows", { method: "PUT", body });
}

async function isFound(router: PatinaClient, i: number): Promise<boolean> {
  const path = `/v1/apps/bench-${i}/placement`;
  const { regions } = await router.request<{ regions: { source: string }[] }>(path, { accept: [404, 503] });
  return regions.some(({ source }) => source === "region");
}

async function isOutOfIndex(router: PatinaClient, i: number): Promise<boolean> {
  const { rows } = await router.request<{ rows: { app: string }[] }>(`/v1/placements?region=${REGION}`);
  return rows.every(({ app }) => app !== `bench-${i}`);
}

function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * p) / 100) - 1)] ?? Number.NaN;
}
