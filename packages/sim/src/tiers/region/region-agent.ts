/** One agent of a simulated region: its detail, whom it hears of, and the production border that runs in it. */
import { type Hlc, HlcClock } from "@patina/base";
import { Border, type RegionMember, type RegionView, testBorderConfig } from "@patina/summary";
import type { PlacementClass } from "@patina/router";
import { Detail } from "./detail.js";

/** A peer not heard of for so long is suspected, and for so long is dead. */
const SUSPECT_AFTER_MS = 500;
const DEAD_AFTER_MS = 1200;

export interface RegionAgentOptions {
  readonly region: string;
  readonly index: number;
  /** How many agents the region has. */
  readonly agents: number;
  readonly globals: number;
  readonly nowMs: () => number;
}

export class RegionAgent implements RegionView {
  readonly index: number;
  readonly nodeId: string;
  readonly api: string;
  readonly #options: RegionAgentOptions;
  readonly #heardMs = new Map<number, number>();
  detail = new Detail();
  clock = new HlcClock();
  border: Border | undefined;
  /** Counts processes: what was meant for an older one is nobody's. */
  life = 0;
  hasSynced = false;
  readonly hasView = true;
  /** It sees only machines of these apps; undefined: all. */
  sees: ((app: string) => boolean) | undefined;
  lagMs = 0;
  /** What it writes is written under this name: a new one for every database. */
  #databases = 0;

  constructor(options: RegionAgentOptions) {
    this.#options = options;
    this.index = options.index;
    this.nodeId = `${options.region}-${options.index}`;
    this.api = apiOf(options.region, options.index);
  }

  get isUp(): boolean {
    return this.border !== undefined;
  }

  get origin(): string {
    return `${this.nodeId}/${this.#databases}`;
  }

  start(): Border {
    this.life++;
    this.hasSynced = false;
    this.#heardMs.clear();
    this.border = new Border({
      view: this,
      generation: 1,
      globals: this.#options.globals,
      config: testBorderConfig,
    });
    return this.border;
  }

  stop(losesDisk: boolean): void {
    this.life++;
    this.border = undefined;
    if (!losesDisk) return;
    this.detail = new Detail();
    this.clock = new HlcClock();
    this.#databases++;
  }

  heard(peer: number): void {
    this.#heardMs.set(peer, this.#options.nowMs());
  }

  /** Has it ever heard of anybody since it started, and does it now hear of nobody? */
  get isAlone(): boolean {
    return this.members().every(({ state }) => state === "dead");
  }

  enlisted(): readonly string[] {
    return Array.from({ length: this.#options.agents }, (_, i) => `${this.#options.region}-${i}`);
  }

  members(): readonly RegionMember[] {
    const { region, agents, nowMs } = this.#options;
    const peers = Array.from({ length: agents }, (_, i) => i).filter((i) => i !== this.index);
    return peers.flatMap((peer): RegionMember[] => {
      const heardMs = this.#heardMs.get(peer);
      if (heardMs === undefined) return [];
      const silentMs = nowMs() - heardMs;
      const state = silentMs < SUSPECT_AFTER_MS ? "alive" : silentMs < DEAD_AFTER_MS ? "suspect" : "dead";
      return [{ nodeId: `${region}-${peer}`, state, api: apiOf(region, peer) }];
    });
  }

  apps(): readonly string[] {
    return this.detail.apps().filter((app) => this.sees?.(app) !== false);
  }

  classOf(app: string): PlacementClass | undefined {
    return this.sees?.(app) === false ? undefined : this.detail.classOf(app);
  }

  highWater(app: string): Hlc {
    return this.detail.highWater(app);
  }

  regionHighWater(): Hlc {
    return this.detail.high;
  }

  hasGaps(): boolean {
    return this.detail.hasGaps;
  }
}

function apiOf(region: string, agent: number): string {
  return `http://agent-${agent}.${region}`;
}

export function agentOfApi(api: string): number {
  return Number(/agent-(\d+)\./.exec(api)?.[1] ?? -1);
}
