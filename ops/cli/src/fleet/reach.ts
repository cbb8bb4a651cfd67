/** Finds an agent that answers: commands work while any agent of the cluster they need is up. */
import { AppError, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import { agentsOf, type Fleet, type FleetAgent } from "./fleet-file.js";

const PROBE_TIMEOUT_MS = 2000;

/** The first of the agents that is alive. Throws `region-unreachable` naming every one that was tried. */
export async function anyOf(agents: readonly FleetAgent[], what: string): Promise<PatinaClient> {
  const tried: string[] = [];
  for (const { name, api } of agents) {
    const client = new PatinaClient(api);
    try {
      await client.request("/livez", { timeoutMs: PROBE_TIMEOUT_MS });
      return client;
    } catch (thrown) {
      tried.push(`${name}: ${messageOf(thrown)}`);
    }
  }
  throw new AppError("region-unreachable", `no agent of ${what} answers\n  ${tried.join("\n  ")}`, {
    hint: "Is the fleet running? `npm start` starts the local one.",
  });
}

/** Nobody there answers: what others say may be worth having without. */
export function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof AppError && (thrown.code === "region-unreachable" || thrown.code === "agent-unreachable");
}

export async function anyIn(fleet: Fleet, region: string): Promise<PatinaClient> {
  return anyOf(agentsOf(fleet, region), `region ${region}`);
}

export async function anyRouter(fleet: Fleet): Promise<PatinaClient> {
  return anyOf(fleet.global, "the global tier");
}
