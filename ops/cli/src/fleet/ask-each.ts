/** One question to several agents at once, of which any may be down. */
import { PatinaClient } from "@patina/api/client";
import { asAppError } from "@patina/base";
import { exitStatusOf } from "../exit-status.js";
import { note } from "../output.js";
import type { FleetAgent } from "./fleet-file.js";

/** What each agent says. One that does not answer, or refuses, is named and left out, and the exit status says so. */
export async function askEach<T extends object>(
  agents: readonly FleetAgent[],
  ask: (client: PatinaClient) => Promise<T>,
): Promise<(T & { agent: string })[]> {
  const results = await Promise.allSettled(agents.map(async ({ api }) => ask(new PatinaClient(api))));
  return results.flatMap((result, i) => {
    const agent = agents[i]?.name ?? "";
    if (result.status === "fulfilled") return [{ agent, ...result.value }];
    const error = asAppError(result.reason);
    note(`${agent}: ${error.message}`);
    process.exitCode = exitStatusOf(error);
    return [];
  });
}
