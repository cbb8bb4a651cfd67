/** Does to the tiers what a fault says, and undoes it when its time is over. What meets nobody is nothing: plans are drawn blindly. */
import { hash32, hlcFromMs, unreachable } from "@patina/base";
import type { GlobalAgent } from "../global/global-agent.js";
import type { TierFault } from "../plan/tier-fault.js";
import type { RegionAgent } from "../region/region-agent.js";
import type { RegionSite } from "../region/region-site.js";
import { SETTLED_AFTER_MS } from "../checkers/truth.js";
import type { TierWorld } from "./tier-world.js";
import type { Cut, Site } from "./wires.js";

/** One app in so many is seen by a blind border. */
const SEEN_OF = 8;
const FLAP_EVERY_MS = 450;

export function injectTier(world: TierWorld, fault: TierFault): void {
  switch (fault.kind) {
    case "agent-down":
      return stopFor(world, world.region(fault.region), [fault.agent], fault);
    case "region-lost": {
      const region = world.region(fault.region);
      return stopFor(
        world,
        region,
        region.agents.map(({ index }) => index),
        { disk: "kept", forMs: fault.forMs },
      );
    }
    case "region-cut":
      return cutFor(world, fault.forMs, (from, to) => from.region === fault.region && to.region !== fault.region);
    case "border-cut":
      return cutFor(world, fault.forMs, (from, to) => isAgent(from, fault) && to.global !== undefined);
    case "region-split":
      return cutFor(world, fault.forMs, (from, to) => areApart(fault.region, from, to));
    case "border-blind":
      return blind(world, world.region(fault.region), fault.forMs);
    case "agent-lags":
      return lag(world, world.region(fault.region).agents[fault.agent], fault);
    case "clear-region":
      return clear(world, world.region(fault.region));
    case "flap":
      return flap(world, world.region(fault.region), fault.times);
    case "hand-over":
      return handOver(world, world.region(fault.from), world.region(fault.to));
    case "step-clock":
      return world.clocks.step(fault.region, fault.byMs);
    default:
      return injectGlobal(world, fault);
  }
}

type OfGlobal = Extract<TierFault, { kind: "tier-lost" | "index-lost" | "global-down" | "global-cut" | "router-alone" | "corrupt" | "forge" }>; // prettier-ignore

function injectGlobal(world: TierWorld, fault: OfGlobal): void {
  const { globals } = world;
  switch (fault.kind) {
    case "tier-lost":
      return globalsDown(world, globals.cores, fault);
    case "index-lost":
      world.brakes.forget();
      world.findings.passed("the tier came back with nothing and was filled by its regions");
      return globalsDown(world, globals.agents, { disk: "lost", forMs: 0 });
    case "global-down":
      return globalsDown(world, [globals.agent(fault.global)], fault);
    case "global-cut":
      return cutFor(world, fault.forMs, (from, to) => from.global === fault.global && to.global !== undefined);
    case "router-alone":
      return routerAlone(world, fault.region, fault.forMs);
    case "corrupt":
      return corrupt(world, globals.agent(fault.global), fault.how);
    case "forge":
      return forge(world, world.region(fault.region), world.region(fault.victim));
    default:
      return unreachable(fault);
  }
}

function cutFor(world: TierWorld, forMs: number, cut: Cut): void {
  world.wires.cut(cut);
  world.after(forMs, "joined", () => world.wires.join(cut));
}

function stopFor(
  world: TierWorld,
  region: RegionSite,
  agents: readonly number[],
  { disk, forMs }: { readonly disk: "kept" | "lost"; readonly forMs: number },
): void {
  const stopped = region.agents.filter(({ index }) => agents.includes(index));
  for (const agent of stopped) region.stopAgent(agent, disk);
  world.after(forMs, "started", () => stopped.forEach((agent) => region.startAgent(agent)));
}

function globalsDown(
  world: TierWorld,
  agents: readonly GlobalAgent[],
  { disk, forMs }: { readonly disk: "kept" | "lost"; readonly forMs: number },
): void {
  for (const agent of agents) world.globals.stopAgent(agent, disk);
  world.after(forMs, "started", () => agents.forEach((agent) => world.globals.startAgent(agent)));
}

/** The agent that publishes loses sight of its region; or whichever is first, when none does. */
function blind(world: TierWorld, region: RegionSite, forMs: number): void {
  const agent = region.publishing ?? region.up[0];
  if (agent === undefined || agent.sees !== undefined) return;
  world.brakes.begin(region, agent);
  region.see(agent, (app) => hash32(app) % SEEN_OF === 0);
  world.after(forMs, "sees again", () => {
    world.brakes.end(agent);
    region.see(agent, undefined);
  });
}

function lag(
  world: TierWorld,
  agent: RegionAgent | undefined,
  fault: { readonly byMs: number; readonly forMs: number },
): void {
  if (agent === undefined) return;
  agent.lagMs = fault.byMs;
  world.findings.passed("a change came late to a border");
  world.after(fault.forMs, "keeps up again", () => (agent.lagMs = 0));
}

/** The machines that one of its agents knows. */
function clear(world: TierWorld, region: RegionSite): void {
  const agent = world.rng.pick(region.up);
  const machines = agent?.detail.apps().flatMap((app) => agent.detail.machines(app)) ?? [];
  if (agent !== undefined) for (const machine of machines) region.write(agent, { ...machine, state: "destroyed" });
}

/** Its app is there and gone, over and over; in the end it is there. */
function flap(world: TierWorld, region: RegionSite, times: number): void {
  world.findings.passed("a flap was waited out");
  for (let i = 0; i < times; i++) {
    world.after(i * FLAP_EVERY_MS, "flap down", () => world.clients.write(region, "flapper", "destroyed"));
    world.after((i + 0.5) * FLAP_EVERY_MS, "flap up", () => world.clients.write(region, "flapper", "started"));
  }
}

/** Made before it is broken: between the two it is settled in both. */
function handOver(world: TierWorld, from: RegionSite, to: RegionSite): void {
  const app = `mover-${from.name}-${to.name}`;
  world.clients.write(from, app, "started");
  world.after(SETTLED_AFTER_MS / 4, "hand-over begins", () => world.clients.write(to, app, "started"));
  const finish = (): void => {
    if (world.isHealed) return;
    if (!world.truth.settledIn(app).includes(to.name)) return world.after(SETTLED_AFTER_MS, "hand-over waits", finish);
    world.findings.passed("an app was handed over to another region");
    world.clients.write(from, app, "destroyed");
  };
  world.after(SETTLED_AFTER_MS * 1.3, "hand-over ends", finish);
}

/** A router starts with no network but its own region's, and is asked at once. */
function routerAlone(world: TierWorld, region: number, forMs: number): void {
  const { globals, findings } = world;
  const router = globals.routerOf(region);
  cutFor(world, forMs, (from, to) => from.global === router.index && to.region !== region);
  globals.stopAgent(router, "kept");
  globals.startAgent(router);
  world.clients.resolveAll(router, ({ result }) => {
    if (result === "found") findings.passed("a router alone found an app");
  });
}

function corrupt(world: TierWorld, agent: GlobalAgent, how: Extract<TierFault, { kind: "corrupt" }>["how"]): void {
  const table = how === "garble-region" ? "regions" : "placements";
  const rows = [...agent.table.states()].filter((state) => state.table === table && state.values !== undefined);
  const state = world.rng.pick(rows);
  if (state === undefined || !agent.isUp) return;
  const { stamp, values = {} } = state;
  if (how === "drop") {
    agent.table.drop(state);
    return agent.touched([{ ...state, values: undefined }]);
  }
  const newer = { ...stamp, hlc: stamp.hlc + 1n, origin: "rogue" };
  if (how === "garble") return agent.join([{ ...state, values: { ...values, class: "gone" }, stamp: newer }]);
  if (how === "garble-region") return agent.join([{ ...state, values: { ...values, apis: "{" }, stamp: newer }]);
  const [, region = ""] = state.key;
  const hlc = hlcFromMs(world.now(undefined).wallMs);
  world.truth.disturb(); // With a ghost more and a row less, the count is right and the map is not.
  const ghost = { app: "ghost", region, class: "serving" };
  agent.join([{ table, key: ["ghost", region], values: ghost, stamp: { ...newer, hlc } }]);
}

/** The region's credential comes with a row of another region. */
function forge(world: TierWorld, region: RegionSite, victim: RegionSite): void {
  const { globals } = world;
  const what = { holder: region.name, region: victim.name, generation: 1 };
  const highWater = hlcFromMs(world.now(undefined).wallMs);
  for (const { index } of globals.cores) globals.publish(index, what, [{ app: "forged", class: "serving", highWater }]);
}

function isAgent(site: Site, { region, agent }: { readonly region: number; readonly agent: number }): boolean {
  return site.region === region && site.agent === agent;
}

/** Agents of one region with even and with odd numbers. */
function areApart(region: number, from: Site, to: Site): boolean {
  if (from.agent === undefined || to.agent === undefined) return false;
  return from.region === region && to.region === region && from.agent % 2 !== to.agent % 2;
}
