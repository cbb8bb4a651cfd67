/** Asks one agent of a region about an app. What it says counts; how it is reached is decided by the resolution. */
import { errorOf, PatinaClient } from "@patina/api";
import type { GivenAnswer, InstanceRow, Plan } from "@patina/router";

interface InstancesDocument {
  readonly region: string;
  readonly generation: number;
  readonly machines: readonly InstanceRow[];
  readonly waited?: boolean;
  readonly code?: string;
}

/** Of the time a region has to answer, what it may spend on waiting for a write. */
const WAIT_SHARE = 0.8;

/** Throws what the agent said when it is no answer, and `agent-unreachable` when it said nothing in time. */
export async function askAgent(plan: Plan, region: string, api: string, timeoutMs: number): Promise<GivenAnswer> {
  const { app, instancesMax, wait } = plan;
  const query = new URLSearchParams({ limit: String(instancesMax) });
  if (wait !== undefined) {
    query.set("wait", `${wait.origin}:${wait.version}`);
    query.set("wait_ms", String(Math.floor(timeoutMs * WAIT_SHARE)));
  }
  const client = new PatinaClient(api, { timeoutMs });
  const path = `/v1/apps/${encodeURIComponent(app)}/instances?${query.toString()}`;
  const document = await client.request<InstancesDocument>(path, { accept: [404] });
  const { generation, machines, waited, code } = document;
  const more = waited === undefined ? {} : { hasWaited: waited };
  if (code === "app-absent") return { region, outcome: "not-here", generation, ...more };
  if (code !== undefined) throw errorOf(document, `${api} answered ${code}`);
  return { region, outcome: "here", generation, machines, ageMs: 0, ...more };
}
