/**
 * Where an app is, asked of a region's agent: here, if it is here, with nobody else asked; otherwise as a router of the global
 * tier says. So a program beside the agent has one place to ask, which answers for its own region whatever else is down.
 */
import { AppError, messageOf, rendezvous } from "@patina/base";
import { PatinaClient } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import type { Placement } from "@patina/router";
import type { Detail } from "./detail.js";

export interface Asked {
  readonly app: string;
  /** Beside the region's own machines those of all others, too: then a router is asked in any case. */
  readonly isEverywhere: boolean;
  /** The request's parameters, for the router; `near` this region unless they say otherwise. */
  readonly query: URLSearchParams;
}

const INSTANCES_MAX = 1000;
/** Longer than a router takes at most. */
const ROUTER_TIMEOUT_MS = 3000;

export class PlacementHere {
  readonly #process: AgentProcess;
  readonly #detail: Detail;
  readonly #routers: readonly PatinaClient[];

  constructor(process: AgentProcess, detail: Detail, globalApis: readonly string[]) {
    this.#process = process;
    this.#detail = detail;
    const apis = rendezvous(process.nodeId, globalApis);
    this.#routers = apis.map((api) => new PatinaClient(api, { timeoutMs: ROUTER_TIMEOUT_MS }));
  }

  async find({ app, isEverywhere, query }: Asked): Promise<Placement> {
    const here = this.#here(app);
    if (here !== undefined && !isEverywhere) return here;
    const asked = await this.#askRouters(app, query);
    if ("result" in asked) return asked;
    const missing = [{ region: "(all others)", reason: asked.reason }];
    if (here !== undefined) return { ...here, missing };
    return { app, result: "unknown", complete: false, regions: [], missing };
  }

  /** Found is found; that it is nowhere else is not said. */
  #here(app: string): Placement | undefined {
    const placement = this.#detail.app(app);
    if (placement === undefined) return undefined;
    const { name: region } = this.#process.store.cluster;
    const instances = this.#detail.instances(app, INSTANCES_MAX);
    const placed = { region, class: placement.class, grade: "live", ageMs: 0, source: "region", instances } as const;
    return { app, result: "found", complete: false, regions: [placed], missing: [] };
  }

  async #askRouters(app: string, query: URLSearchParams): Promise<Placement | { readonly reason: string }> {
    const parameters = new URLSearchParams(query);
    parameters.delete("everywhere");
    if (!parameters.has("near")) parameters.set("near", this.#process.store.cluster.name);
    const path = `/v1/apps/${encodeURIComponent(app)}/placement?${parameters.toString()}`;
    const reasons: string[] = [];
    for (const router of this.#routers) {
      try {
        return await router.request<Placement>(path, { accept: [404, 503] });
      } catch (thrown) {
        // What was asked wrongly is wrong everywhere.
        if (!(thrown instanceof AppError) || thrown.code !== "agent-unreachable") throw thrown;
        reasons.push(messageOf(thrown));
      }
    }
    return { reason: reasons.join("; ") || "no global agent is configured" };
  }
}
