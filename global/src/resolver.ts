/** Drives resolutions: asks the agents they want asked, tells them what came and when time is up. Decides nothing itself. */
import { AppError, asAppError, messageOf } from "@patina/base";
import {
  Answers,
  defaultRouterConfig,
  type Placement,
  type Plan,
  planResolve,
  RegionHealth,
  Resolution,
  type ResolutionEffect,
  type ResolutionInput,
  type ResolveOptions,
  type RouterConfig,
  type RouterView,
  type Switches,
} from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { RouterMetrics } from "@patina/telemetry";
import { askAgent } from "./regions/ask.js";
import type { Doubt } from "./regions/doubts.js";

export interface ResolverOptions {
  readonly view: () => RouterView;
  readonly switches: () => Switches;
  readonly onDoubt: (doubt: Doubt) => void;
  readonly metrics: RouterMetrics;
  readonly config?: RouterConfig;
}

/** Resolutions under way at once; more are refused with `too-many`. */
const UNDER_WAY_MAX = 4096;

export class Resolver {
  readonly config: RouterConfig;
  readonly health: RegionHealth;
  readonly #answers: Answers;
  readonly #options: ResolverOptions;
  #underWay = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.config = options.config ?? defaultRouterConfig;
    this.health = new RegionHealth(this.config);
    this.#answers = new Answers(this.config);
  }

  /** What the regions said of the app before its route changed no longer counts. */
  forget(app: string): void {
    this.#answers.forget(app);
  }

  plan(app: string, options: ResolveOptions): Plan {
    const view = { ...this.#options.view(), rttMs: (region: string) => this.health.rttMs(region) };
    const { features } = this.#options.switches();
    const config = features.includes("probe") ? { ...this.config, probesMax: 0 } : this.config;
    const plan = planResolve(view, app, options, systemNow(), config);
    return features.includes("kept") ? { ...plan, keptMaxMs: 0 } : plan;
  }

  async resolve(app: string, options: ResolveOptions): Promise<Placement> {
    if (this.#underWay >= UNDER_WAY_MAX) {
      throw new AppError("too-many", `${UNDER_WAY_MAX} resolutions are under way`, { hint: "Ask another router." });
    }
    const plan = this.plan(app, options);
    this.#underWay++;
    try {
      return await this.#run(plan);
    } finally {
      this.#underWay--;
    }
  }

  async #run(plan: Plan): Promise<Placement> {
    const { health, config } = this;
    const resolution = new Resolution(plan, { health, answers: this.#answers, config });
    return new Promise((resolve) => {
      const timers = new Set<NodeJS.Timeout>();
      const step = (input: ResolutionInput): void => perform(resolution.handle(input, systemNow()));
      const perform = (effects: readonly ResolutionEffect[]): void => {
        for (const effect of effects) {
          if (effect.kind === "ask") void this.#ask(plan, effect.region, effect.api).then(step);
          else if (effect.kind === "wake") {
            if (this.#options.switches().features.includes("hedge")) continue;
            timers.add(setTimeout(() => step({ kind: "wake", region: effect.region }), effect.afterMs));
          } else {
            for (const timer of timers) clearTimeout(timer);
            this.#finish(effect);
            resolve(effect.placement);
          }
        }
      };
      perform(resolution.start(systemNow()));
    });
  }

  async #ask(plan: Plan, region: string, api: string): Promise<ResolutionInput> {
    const { metrics } = this.#options;
    try {
      const answer = await askAgent(plan, region, api, this.config.askTimeoutMs);
      metrics.onAsk(answer.outcome);
      return { kind: "answered", api, answer };
    } catch (thrown) {
      metrics.onAsk("failed");
      return { kind: "failed", region, api, reason: messageOf(asAppError(thrown)) };
    }
  }

  #finish({ placement, corrections }: Extract<ResolutionEffect, { kind: "done" }>): void {
    this.#options.metrics.onResolved(placement.result, corrections.length);
    for (const { region, app, generation } of corrections) {
      this.#options.onDoubt({ region, app, reason: `generation ${generation} of the region denies it` });
    }
  }
}
