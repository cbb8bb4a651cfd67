/**
 * One simulated region: what its agents write spreads among them as gossip would have it, late, lost and made up for, and each
 * agent's border is driven as in production.
 */
import { must, unreachable } from "@patina/base";
import type { BorderEffect, BorderInput } from "@patina/summary";
import type { GivenAnswer } from "@patina/router";
import type { Publication } from "../global/global-agent.js";
import type { DiskFate } from "../plan/tier-fault.js";
import type { TierWorld } from "../world/tier-world.js";
import type { Site } from "../world/wires.js";
import type { DetailEntry, MachineState } from "./detail.js";
import { agentOfApi, RegionAgent } from "./region-agent.js";

/** Agents hear of each other and compare what they have. */
const ROUND_MS = 250;
const ALONE_AFTER_MS = 1500;
const NAMES = ["ams", "fra", "iad", "nrt", "sin", "syd"] as const;

export class RegionSite {
  readonly index: number;
  readonly name: string;
  readonly agents: readonly RegionAgent[];
  readonly #world: TierWorld;
  readonly #startedMs = new Map<RegionAgent, number>();
  #revision = 0;

  constructor(world: TierWorld, index: number) {
    this.#world = world;
    this.index = index;
    this.name = must(NAMES[index], "a name");
    const { agentsPerRegion, cores } = world.plan;
    const nowMs = (): number => world.nowMs;
    this.agents = Array.from({ length: agentsPerRegion }, (_, i) => {
      return new RegionAgent({ region: this.name, index: i, agents: agentsPerRegion, globals: cores, nowMs });
    });
  }

  get up(): RegionAgent[] {
    return this.agents.filter(({ isUp }) => isUp);
  }

  /** The one that publishes, if just one does. */
  get publishing(): RegionAgent | undefined {
    return this.agents.find(({ border }) => border?.isPublishing === true);
  }

  site(agent: RegionAgent): Site {
    return { region: this.index, agent: agent.index, global: undefined };
  }

  start(): void {
    for (const agent of this.agents) this.startAgent(agent);
    this.#round();
  }

  startAgent(agent: RegionAgent): void {
    if (agent.isUp) return;
    this.#startedMs.set(agent, this.#world.nowMs);
    agent.start();
    this.step(agent, { kind: "start" });
  }

  stopAgent(agent: RegionAgent, disk: DiskFate): void {
    if (agent.isUp) agent.stop(disk === "lost");
  }

  heal(): void {
    for (const agent of this.agents) {
      agent.lagMs = 0;
      this.see(agent, undefined);
      this.startAgent(agent);
    }
  }

  /** What the agent sees of its region from now on. */
  see(agent: RegionAgent, sees: ((app: string) => boolean) | undefined): void {
    const isChanged = agent.sees !== sees;
    agent.sees = sees;
    if (isChanged && agent.isUp) this.step(agent, { kind: "touched", apps: [...agent.detail.apps()] });
  }

  /** A machine as it is from now on, written at that agent. */
  write(
    agent: RegionAgent,
    machine: { readonly id: string; readonly app: string; readonly state: MachineState },
  ): void {
    if (!agent.isUp) return;
    const { origin } = agent;
    const hlc = agent.clock.tick(this.#world.now(this.index).wallMs);
    const row = { ...machine, revision: ++this.#revision };
    const entry: DetailEntry = { origin, version: agent.detail.head(origin) + 1, hlc, row };
    this.#take(agent, [entry]);
    for (const peer of this.agents) if (peer !== agent) this.#push(agent, peer, entry);
  }

  /** What an agent says of an app when a router asks it; undefined: nothing that counts. */
  answer(api: string, app: string, instancesMax: number): GivenAnswer | undefined {
    const agent = this.agents[agentOfApi(api)];
    if (agent?.isUp !== true) return undefined;
    const isHere = agent.classOf(app) !== undefined;
    if (!isHere && !agent.hasSynced) return undefined;
    const said = { region: this.name, generation: 1 };
    if (!isHere) return { ...said, outcome: "not-here" };
    const machines = agent.detail.machines(app).slice(0, instancesMax);
    return { ...said, outcome: "here", machines: machines.map((row) => ({ ...row })), ageMs: 0 };
  }

  step(agent: RegionAgent, input: BorderInput): void {
    const { border } = agent;
    if (border === undefined) return;
    for (const effect of border.handle(input, this.#world.now(this.index))) this.#perform(agent, effect);
  }

  #perform(agent: RegionAgent, effect: BorderEffect): void {
    const { globals, findings } = this.#world;
    const what: Publication = { holder: this.name, region: this.name, generation: 1 };
    const sentMs = this.#world.now(this.index).wallMs;
    switch (effect.kind) {
      case "send":
        return this.#ask(
          agent,
          effect.to,
          "send",
          (to) => globals.publish(to, what, effect.rows),
          (taken) => {
            return { kind: taken === true ? "sent" : "send-failed" };
          },
        );
      case "heartbeat":
        return this.#ask(
          agent,
          effect.to,
          "heartbeat",
          (to) => globals.heartbeat(to, { ...what, sentMs }, effect.beat),
          (taken) => {
            return taken === true ? undefined : { kind: "heartbeat-failed", to: effect.to };
          },
        );
      case "read-index":
        return this.#ask(
          agent,
          effect.to,
          "read-index",
          (to) => globals.readIndex(to, this.name),
          (rows) => {
            return rows === undefined ? { kind: "index-failed" } : { kind: "index", rows };
          },
        );
      case "read-standing":
        return this.#ask(
          agent,
          effect.to,
          "read-standing",
          (to) => globals.readStanding(to, this.name),
          (found) => {
            if (found === undefined) return { kind: "standing-failed", to: effect.to };
            return { kind: "standing", standing: found.standing };
          },
        );
      case "wake": {
        const { life } = agent;
        return this.#world.after(effect.afterMs, `${agent.nodeId} ${effect.timer.kind}`, () => {
          if (agent.life === life) this.step(agent, { kind: "wake", timer: effect.timer });
        });
      }
      case "role":
        if (effect.publishing) findings.passed("a border took over");
        return;
      case "held":
        if (effect.apps > 0) findings.passed("the brake held withdrawals");
        return;
      case "repair":
        if (effect.missing > 0) findings.passed("an audit found a row missing");
        if (effect.ghosts > 0) findings.passed("an audit found a ghost");
        return;
      case "refused":
        return findings.broken("T7", `region ${this.name} has more apps than it may`);
      default:
        return unreachable(effect);
    }
  }

  /** Asks a global agent, by its place in the region's order of preference, and gives the border what came of it. */
  #ask<T>(
    agent: RegionAgent,
    to: number,
    label: string,
    serve: (global: number) => T | undefined,
    inputOf: (answer: T | undefined) => BorderInput | undefined,
  ): void {
    const { globals } = this.#world;
    const { life } = agent;
    const global = globals.preferredBy(this.name, to);
    this.#world.call(
      this.site(agent),
      globals.site(global),
      `${agent.nodeId} ${label}`,
      () => serve(global),
      (answer) => {
        const input = inputOf(answer);
        if (agent.life === life && input !== undefined) this.step(agent, input);
      },
    );
  }

  #push(from: RegionAgent, to: RegionAgent, entry: DetailEntry): void {
    const { life } = to;
    const take = (): void => {
      if (to.isUp && to.life === life) this.#take(to, [entry]);
    };
    this.#world.send(this.site(from), this.site(to), `${to.nodeId} change`, take, to.lagMs);
  }

  #take(agent: RegionAgent, entries: readonly DetailEntry[]): void {
    const taken = entries.filter((entry) => agent.detail.take(entry));
    for (const { hlc } of taken) agent.clock.observe(hlc);
    if (taken.length > 0) this.step(agent, { kind: "touched", apps: taken.map(({ row }) => row.app) });
  }

  #round(): void {
    const { wires, rng } = this.#world;
    for (const agent of this.up) {
      const peers = this.up.filter((peer) => peer !== agent && wires.isOpen(this.site(agent), this.site(peer)));
      for (const peer of peers) agent.heard(peer.index);
      const peer = rng.pick(peers);
      if (peer !== undefined && agent.lagMs === 0) {
        if (!agent.detail.holdsAs(peer.detail)) this.#take(agent, [...peer.detail.entries()]);
        agent.hasSynced = true;
      } else if (agent.isAlone && this.#world.nowMs - (this.#startedMs.get(agent) ?? 0) > ALONE_AFTER_MS) {
        agent.hasSynced = true;
      }
    }
    this.#world.after(ROUND_MS, `${this.name} round`, () => this.#round());
  }
}
