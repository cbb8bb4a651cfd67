/** Drives resolutions: asks the agents they want asked, tells them what came and when time is up. Decides nothing itself. */
import { AppError, asAppError, assert, messageOf, type Now } from "@patina/base";
import {
  Answers,
  defaultRouterConfig,
  type Ground,
  Outlook,
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
  Standing,
  type Switches,
} from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { RouterMetrics } from "@patina/telemetry";
import { askAgent } from "../regions/ask.js";
import type { Doubt } from "../regions/doubts.js";

export interface ResolverOptions {
  readonly view: () => RouterView;
  readonly switches: () => Switches;
  readonly onDoubt: (doubt: Doubt) => void;
  readonly metrics: RouterMetrics;
  readonly config?: RouterConfig;
  readonly now?: () => Now;
  /** How an agent of a region is asked; over HTTP. */
  readonly ask?: typeof askAgent;
}

/** Resolutions under way at once; more are refused with `too-many`. */
const UNDER_WAY_MAX = 4096;

export class Resolver {
  readonly config: RouterConfig;
  readonly health: RegionHealth;
  readonly #answers: Answers;
  readonly #options: ResolverOptions;
  readonly #now: () => Now;
  readonly #outlook = new Outlook();
  readonly #rttMs = (region: string): number | undefined => this.health.rttMs(region);
  #underWay = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.config = options.config ?? defaultRouterConfig;
    this.#now = options.now ?? systemNow;
    this.health = new RegionHealth(this.config);
    this.#answers = new Answers(this.config);
  }

  /** What the regions said of the app before its route changed no longer counts. */
  forget(app: string): void {
    this.#answers.forget(app);
  }

  plan(app: string, options: ResolveOptions, now = this.#now(), view = this.#view()): Plan {
    const { features } = this.#options.switches();
    const config = features.includes("probe") ? { ...this.config, probesMax: 0 } : this.config;
    const plan = planResolve(view, app, options, now, config);
    return features.includes("kept") ? { ...plan, keptMaxMs: 0 } : plan;
  }

  /** At once, from kept answers; undefined where a region has to be asked or the index speaks, or too much is under way. */
  resolveAlone(app: string, options: ResolveOptions): Standing | undefined {
    if (this.#underWay >= UNDER_WAY_MAX) return undefined;
    const [now, view] = [this.#now(), this.#view()];
    const plan = this.plan(app, options, now, view);
    const resolution = this.#open(plan);
    if (!resolution.needsNobody(now)) return undefined;
    const [done] = resolution.start(now);
    assert(done?.kind === "done", "a resolution that needs nobody ends at once");
    const standing = Standing.of(plan, done, this.#ground(now, view));
    if (standing !== undefined) this.#finish(done);
    return standing;
  }

  /** Resolves again: the ages of what stands, in its order; undefined once it does not stand any more. */
  resolveAgain(standing: Standing): readonly number[] | undefined {
    if (this.#underWay >= UNDER_WAY_MAX) return undefined;
    const now = this.#now();
    const ages = standing.agesAt(now.monotonicMs, this.#ground(now, this.#view()));
    if (ages !== undefined) this.#finish(standing.done);
    return ages;
  }

  #view(): RouterView {
    const { fib, regions, complete, expected = [] } = this.#options.view();
    return { fib, regions, complete, expected, rttMs: this.#rttMs };
  }

  #ground(now: Now, view: RouterView): Ground {
    const edition = this.#outlook.edition(view, now, this.config, [this.#options.switches()]);
    return { edition, fib: view.fib, answers: this.#answers };
  }

  /** Throws `too-many`. */
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

  #open(plan: Plan): Resolution {
    return new Resolution(plan, { health: this.health, answers: this.#answers, config: this.config });
  }

  async #run(plan: Plan): Promise<Placement> {
    const resolution = this.#open(plan);
    return new Promise((resolve) => {
      const timers = new Set<NodeJS.Timeout>();
      const step = (input: ResolutionInput): void => perform(resolution.handle(input, this.#now()));
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
      perform(resolution.start(this.#now()));
    });
  }

  async #ask(plan: Plan, region: string, api: string): Promise<ResolutionInput> {
    const { metrics, ask = askAgent } = this.#options;
    try {
      const answer = await ask(plan, region, api, this.config.askTimeoutMs);
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
