/** Those who use the tiers: workers that write what their machines do, and callers who ask routers where an app is. */
import { must, type Rng } from "@patina/base";
import type { Placement, ResolutionEffect, ResolutionInput } from "@patina/router";
import { type GlobalAgent, placementText } from "../global/global-agent.js";
import type { MachineState } from "../region/detail.js";
import { agentOfApi } from "../region/region-agent.js";
import type { RegionSite } from "../region/region-site.js";
import type { TierWorld } from "./tier-world.js";

const APPS = Array.from({ length: 12 }, (_, i) => `app-${i}`);
/** Asked for now and then. */
const NOBODYS_APP = "no-such-app";
const STATES: readonly MachineState[] = ["created", "started", "started", "destroyed"];
const MACHINES_PER_APP = 2;
/** Share of the apps that a region has at first. */
const SHARE = 0.75;
const KEPT_MAX_MS = 2000;

export class TierClients {
  readonly #world: TierWorld;
  readonly #rng: Rng;

  constructor(world: TierWorld, rng: Rng) {
    this.#world = world;
    this.#rng = rng;
  }

  start(): void {
    const { regions, plan } = this.#world;
    for (const region of regions) {
      for (const app of APPS) if (this.#rng.chance(SHARE)) this.write(region, app, "started");
    }
    const spread = (count: number, label: string, run: () => void): void => {
      for (let i = 0; i < count; i++) this.#world.after(this.#rng.between(1000, plan.faultsEndMs), label, run);
    };
    spread(plan.updates, "update", () => this.update());
    spread(plan.resolves, "resolve", () => this.#ask());
  }

  /** One machine's row is written by some agent of the region; by nobody when none runs. */
  write(region: RegionSite, app: string, state: MachineState, machine = 0): void {
    const agent = this.#rng.pick(region.up);
    if (agent !== undefined) region.write(agent, { id: `${app}-${machine}`, app, state });
  }

  /** Mostly one that says nothing new about the app. */
  update(): void {
    const region = must(this.#rng.pick(this.#world.regions), "a region");
    const app = must(this.#rng.pick(APPS), "an app");
    if (this.#rng.chance(0.4)) return this.updateQuietly(region);
    this.write(region, app, must(this.#rng.pick(STATES), "a state"), this.#rng.below(MACHINES_PER_APP));
  }

  /** A machine of the region is written again as it is. True if there was one. */
  updateQuietly(region: RegionSite): void {
    const agent = this.#rng.pick(region.up);
    const machine = agent && this.#rng.pick(agent.detail.apps().flatMap((app) => agent.detail.machines(app)));
    if (agent !== undefined && machine !== undefined) region.write(agent, machine);
  }

  #ask(): void {
    const agent = this.#rng.pick(this.#world.globals.agents.filter(({ isUp }) => isUp));
    const app = this.#rng.chance(0.1) ? NOBODYS_APP : must(this.#rng.pick(APPS), "an app");
    if (agent !== undefined) this.resolve(agent, app, this.#rng.chance(0.3) ? KEPT_MAX_MS : undefined);
  }

  /** Asks for every app, of a router that may be alone. */
  resolveAll(agent: GlobalAgent, onPlaced: (placement: Placement) => void): void {
    for (const app of APPS) this.resolve(agent, app, undefined, onPlaced);
  }

  resolve(
    agent: GlobalAgent,
    app: string,
    maxAgeMs: number | undefined,
    onPlaced?: (placement: Placement) => void,
  ): void {
    const { truth } = this.#world;
    const resolution = agent.resolve(app, maxAgeMs);
    if (resolution === undefined) return;
    const settled = truth.settledIn(app);
    const routes = new Set(agent.rib?.fib.lookup(app).map(({ region }) => region));
    const known = maxAgeMs === undefined ? settled.filter((region) => routes.has(region)) : [];
    const { life } = agent;
    const perform = (effects: readonly ResolutionEffect[]): void => {
      for (const effect of effects) {
        if (effect.kind === "done") {
          this.#judge(agent, effect, { settled, known });
          onPlaced?.(effect.placement);
        } else this.#carryOut(agent, app, effect, step);
      }
    };
    const step = (input: ResolutionInput): void => {
      if (agent.life === life) perform(resolution.handle(input, this.#world.now(undefined)));
    };
    this.#noteFallback(agent, app);
    perform(resolution.start(this.#world.now(undefined)));
  }

  #carryOut(
    agent: GlobalAgent,
    app: string,
    effect: Exclude<ResolutionEffect, { kind: "done" }>,
    step: (input: ResolutionInput) => void,
  ): void {
    const { region, kind } = effect;
    if (kind === "wake") return this.#world.after(effect.afterMs, "hedge", () => step({ kind, region }));
    const { api } = effect;
    const site = this.#world.regions.find(({ name }) => name === region);
    const asked = site?.agents[agentOfApi(api)];
    if (site === undefined || asked === undefined) return;
    const serve = () => site.answer(api, app, 100);
    this.#world.call(this.#world.globals.site(agent.index), site.site(asked), `${region} asked`, serve, (answer) => {
      step(
        answer === undefined ? { kind: "failed", region, api, reason: "silent" } : { kind: "answered", api, answer },
      );
    });
  }

  #noteFallback(agent: GlobalAgent, app: string): void {
    const { rib } = agent;
    if (rib === undefined || rib.fib.lookup(app).length > 0) return;
    const isPartial = [...rib.regions.values()].some(({ region, apps }) => rib.fib.appsIn(region) < apps);
    if (isPartial) this.#world.findings.passed("a region that may lack rows of the map was asked");
  }

  /** T5 and T6. */
  #judge(
    agent: GlobalAgent,
    { placement, corrections }: Extract<ResolutionEffect, { kind: "done" }>,
    before: { readonly settled: readonly string[]; readonly known: readonly string[] },
  ): void {
    const { truth, findings, globals } = this.#world;
    const { app, result, regions } = placement;
    this.#world.note(placementText(placement));
    const settled = truth.settledIn(app).filter((region) => before.settled.includes(region));
    if (result === "absent" && settled.length > 0) {
      findings.broken("T5", `router ${agent.index} says that ${app} is absent, which is in ${settled.join(", ")}`);
    }
    const known = settled.filter((region) => before.known.includes(region));
    if (result !== "found" && known.length > 0) {
      findings.broken("T6", `router ${agent.index} knows of ${app} in ${known.join(", ")} and says ${result}`);
    }
    if (regions.some(({ source, ageMs, grade }) => !(ageMs >= 0) || (source === "index" && grade === "live"))) {
      findings.broken("T6", `router ${agent.index} does not say how old its answer for ${app} is`);
    }
    for (const { region } of corrections) globals.doubt(agent.index, region, app);
    this.#notePaths(placement, corrections.length > 0);
  }

  #notePaths({ result, regions }: Placement, isCorrected: boolean): void {
    const { findings, globals } = this.#world;
    if (isCorrected) findings.passed("a route was denied by its region");
    if (result === "absent") findings.passed("an app was absent");
    if (result === "unknown") findings.passed("nobody could say where an app is");
    const sources = new Set(regions.map(({ source }) => source));
    if (sources.has("region")) findings.passed("an app was found in a region itself");
    if (sources.has("kept")) findings.passed("an app was found in a kept answer");
    if (sources.size === 1 && sources.has("index")) findings.passed("an app was found in the index alone");
    if (result === "found" && globals.cores.every(({ isUp }) => !isUp)) {
      findings.passed("an app was found while all whom borders publish to were down");
    }
  }
}
