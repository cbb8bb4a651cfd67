/** Drives the router: plans from the map, asks the regions over HTTP, merges what they say. Decides nothing itself. */
import { asAppError, messageOf } from "@patina/base";
import { errorOf, PatinaClient } from "@patina/api";
import {
  type Ask,
  defaultRouterConfig,
  type InstanceRow,
  mergeAnswers,
  type Placement,
  type Plan,
  planResolve,
  type RegionAnswer,
  type ResolveOptions,
  type RouterConfig,
} from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { Rib } from "./rib.js";

interface InstancesDocument {
  readonly generation: number;
  readonly machines: readonly InstanceRow[];
  readonly code?: string;
}

export class Resolver {
  readonly #rib: Rib;
  readonly #isComplete: () => boolean;
  readonly #config: RouterConfig;

  constructor(rib: Rib, isComplete: () => boolean, config: RouterConfig = defaultRouterConfig) {
    this.#rib = rib;
    this.#isComplete = isComplete;
    this.#config = config;
  }

  async resolve(app: string, options: ResolveOptions): Promise<Placement> {
    const { fib, regions } = this.#rib;
    const plan = planResolve({ fib, regions, complete: this.#isComplete() }, app, options, systemNow(), this.#config);
    const answers = await this.#askAll(plan, plan.asks);
    const isHere = answers.some(({ outcome }) => outcome === "here");
    if (!isHere && plan.fallback.length > 0) answers.push(...(await this.#askAll(plan, plan.fallback)));
    return mergeAnswers(plan, answers, systemNow());
  }

  async #askAll(plan: Plan, asks: readonly Ask[]): Promise<RegionAnswer[]> {
    return Promise.all(asks.map((ask) => this.#ask(plan, ask)));
  }

  /** One region, by whichever of its agents answers first in order. */
  async #ask({ app, instancesMax }: Plan, { region, apis }: Ask): Promise<RegionAnswer> {
    let reason = "it has told nobody where to ask";
    for (const api of apis) {
      try {
        return await this.#askAgent(api, region, `/v1/apps/${encodeURIComponent(app)}/instances?limit=${instancesMax}`);
      } catch (thrown) {
        reason = messageOf(asAppError(thrown));
      }
    }
    return { region, outcome: "unreachable", reason };
  }

  async #askAgent(api: string, region: string, path: string): Promise<RegionAnswer> {
    const client = new PatinaClient(api, { timeoutMs: this.#config.askTimeoutMs });
    const document = await client.request<InstancesDocument>(path, { accept: [404] });
    const { generation, machines, code } = document;
    if (code === "app-absent") return { region, outcome: "not-here", generation };
    if (code !== undefined) throw errorOf(document, `${api} answered ${code}`);
    return { region, outcome: "here", generation, machines, ageMs: 0 };
  }
}
