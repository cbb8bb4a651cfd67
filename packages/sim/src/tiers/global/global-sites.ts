/**
 * The global tier of a simulated world: agents that borders publish to (the cores), then a router for each region. They tell
 * each other of rows at once, and compare all they have now and then.
 */
import { must, rendezvous } from "@patina/base";
import type { Heartbeat, IndexedRow, Standing, SummaryRow } from "@patina/summary";
import { gradeOf, type Refusal } from "@patina/router";
import type { DiskFate } from "../plan/tier-fault.js";
import type { TierWorld } from "../world/tier-world.js";
import type { Site } from "../world/wires.js";
import { GlobalAgent, type Publication, TIER_ROUTER_CONFIG } from "./global-agent.js";
import type { IndexState } from "./index-table.js";

const ROUND_MS = 500;
/** Doubts are gathered for so long before a region is told of them. */
const DOUBT_AFTER_MS = 100;

export class GlobalSites {
  readonly agents: readonly GlobalAgent[];
  readonly #world: TierWorld;
  /** Rows of the index that borders changed: what crossed between the tiers and had an effect. */
  placementsWritten = 0;

  constructor(world: TierWorld) {
    this.#world = world;
    const { cores, regions } = world.plan;
    this.agents = Array.from({ length: cores + regions }, (_, index) => {
      return new GlobalAgent(index, {
        regions: world.regions.map(({ name }) => name),
        now: () => world.now(undefined),
        onTaken: (states, isOwn) => this.#onTaken(index, states, isOwn),
        onQuarantined: ({ table, region, app }) => {
          world.findings.passed("a row was put into quarantine");
          this.doubt(index, region, table === "regions" ? null : (app ?? null));
        },
      });
    });
  }

  get cores(): GlobalAgent[] {
    return this.agents.slice(0, this.#world.plan.cores);
  }

  agent(index: number): GlobalAgent {
    return must(this.agents[index], `a global agent ${index}`);
  }

  /** The region's router. */
  routerOf(region: number): GlobalAgent {
    return this.agent(this.#world.plan.cores + region);
  }

  site(index: number): Site {
    const { cores } = this.#world.plan;
    return { region: index < cores ? undefined : index - cores, agent: undefined, global: index };
  }

  /** The region's own order of preference among the cores. */
  preferredBy(region: string, to: number): number {
    return Number(
      rendezvous(
        region,
        this.cores.map(({ index }) => String(index)),
      )[to],
    );
  }

  start(): void {
    for (const agent of this.agents) agent.start();
    this.#round();
  }

  stopAgent(agent: GlobalAgent, disk: DiskFate): void {
    if (agent.isUp || disk === "lost") agent.stop(disk === "lost");
  }

  startAgent(agent: GlobalAgent): void {
    if (!agent.isUp) agent.start();
  }

  heal(): void {
    for (const agent of this.agents) this.startAgent(agent);
  }

  /** Each undefined when the agent does not run. */
  publish(to: number, what: Publication, rows: readonly SummaryRow[]): boolean | undefined {
    const agent = this.agent(to);
    return agent.isUp ? this.#isTaken(what, agent.publish(what, rows)) : undefined;
  }

  heartbeat(to: number, what: Publication, beat: Heartbeat): boolean | undefined {
    const agent = this.agent(to);
    return agent.isUp
      ? this.#isTaken(what, agent.heartbeat(what, { ...beat, generation: what.generation, location: undefined }))
      : undefined;
  }

  readIndex(to: number, region: string): IndexedRow[] | undefined {
    const agent = this.agent(to);
    if (!agent.isUp) return undefined;
    const ofRegion = [...agent.table.states()].filter(({ table, key }) => table === "placements" && key[1] === region);
    return ofRegion.map(({ key: [app = ""], values, stamp }) => {
      const cls = values?.class as IndexedRow["class"];
      return { app, class: cls, generation: stamp.epoch, highWater: stamp.hlc };
    });
  }

  /** Undefined when the agent does not run. */
  readStanding(to: number, region: string): { readonly standing: Standing | undefined } | undefined {
    const agent = this.agent(to);
    if (!agent.isUp) return undefined;
    const known = agent.rib?.regions.get(region);
    if (known === undefined) return { standing: undefined };
    const { ageMs } = gradeOf(known, this.#world.now(undefined), TIER_ROUTER_CONFIG);
    return { standing: { ageMs, by: known.apis[0] ?? "" } };
  }

  /** A global agent tells a region that a row of it is not true, or makes no sense. */
  doubt(from: number, region: string, app: string | null): void {
    const site = this.#world.regions.find(({ name }) => name === region);
    const [api] = this.agent(from).rib?.regions.get(region)?.apis ?? [];
    const agent = site?.agents.find((each) => each.api === api);
    if (site === undefined || agent === undefined) return;
    this.#world.after(DOUBT_AFTER_MS, `global-${from} doubts`, () => {
      this.#world.send(this.site(from), site.site(agent), `${agent.nodeId} doubted`, () => {
        if (agent.border?.isPublishing === true) this.#world.findings.passed("a border was told of a doubt");
        site.step(agent, { kind: "doubts", apps: [app] });
      });
    });
  }

  #isTaken({ holder, region }: Publication, refusal: Refusal | undefined): boolean {
    const { findings } = this.#world;
    if (refusal !== undefined) findings.passed(`the door refused: ${refusal.code}`);
    if (refusal === undefined && holder !== region) findings.broken("T4", `${holder} wrote rows of ${region}`);
    return refusal === undefined;
  }

  #onTaken(from: number, states: readonly IndexState[], isOwn: boolean): void {
    if (!isOwn) return;
    this.placementsWritten += states.filter(({ table }) => table === "placements").length;
    for (const { index } of this.agents) if (index !== from) this.#tell(from, index, states);
  }

  #tell(from: number, to: number, states: readonly IndexState[]): void {
    const agent = this.agent(to);
    const { life } = agent;
    this.#world.send(this.site(from), this.site(to), `global-${to} rows`, () => {
      if (agent.life === life && agent.isUp) agent.join(states);
    });
  }

  /** Each compares itself with one other. */
  #round(): void {
    const { wires, rng } = this.#world;
    const up = this.agents.filter(({ isUp }) => isUp);
    for (const agent of up) {
      const peers = up.filter((each) => each !== agent && wires.isOpen(this.site(agent.index), this.site(each.index)));
      const peer = rng.pick(peers);
      if (peer === undefined) continue;
      agent.join([...peer.table.states()]);
      agent.noteCompared();
    }
    this.#world.after(ROUND_MS, "global round", () => this.#round());
  }
}
