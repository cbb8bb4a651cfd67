/**
 * One agent of the simulated global tier: the production door, map, quarantine and router over a table of its own. Those that
 * borders publish to and those that only resolve are alike.
 */
import { type ChangedRow, type Now, type RowWrite } from "@patina/base";
import {
  Answers,
  Door,
  defaultDoorConfig,
  heartbeatWrite,
  lastHeartbeat,
  type Placement,
  placementWrites,
  planResolve,
  type PublishedRow,
  Quarantine,
  type QuarantinedRow,
  type Refusal,
  type RegionBeat,
  RegionHealth,
  Resolution,
  Rib,
  type RouterConfig,
  defaultRouterConfig,
} from "@patina/router";
import { changedRowOf, type IndexState, IndexTable } from "./index-table.js";

/** Production's, with ages in proportion to the borders' shorter times and with few answers kept. */
export const TIER_ROUTER_CONFIG: RouterConfig = {
  ...defaultRouterConfig,
  freshMs: 3000,
  staleMs: 60_000,
  askTimeoutMs: 400,
  answersMax: 24,
  answerMaxMs: 5000,
  breakerOpenMs: 600,
};
const DOOR_CONFIG = { ...defaultDoorConfig, rowsPerSecond: 8, rowsBurst: 12, rowsMax: 256 };
/** For so long an agent without peers waits for one before it believes that it is alone. */
const ALONE_AFTER_MS = 1500;

export interface GlobalHost {
  /** By their authorities: who may publish. */
  readonly regions: readonly string[];
  now(): Now;
  /** Rows changed here, by a border or by a peer. */
  onTaken(states: readonly IndexState[], isOwn: boolean): void;
  onQuarantined(row: QuarantinedRow): void;
}

/** One border's message, with whose credential it came. */
export interface Publication {
  readonly holder: string;
  readonly region: string;
  readonly generation: number;
  /** Of a heartbeat: when it was signed, by the region's clock. */
  readonly sentMs?: number;
}

export class GlobalAgent {
  readonly index: number;
  readonly #host: GlobalHost;
  table: IndexTable;
  /** Of the process; the rest is on disk. */
  #running:
    { readonly rib: Rib; readonly door: Door; readonly health: RegionHealth; readonly answers: Answers } | undefined;
  #quarantined: readonly QuarantinedRow[] = [];
  #startedMs = 0;
  #hasCompared = false;
  #databases = 0;
  life = 0;

  constructor(index: number, host: GlobalHost) {
    this.index = index;
    this.#host = host;
    this.table = new IndexTable(`global-${index}/0`);
  }

  get isUp(): boolean {
    return this.#running !== undefined;
  }

  get rib(): Rib | undefined {
    return this.#running?.rib;
  }

  get answers(): Answers | undefined {
    return this.#running?.answers;
  }

  /** Compared with a peer since the start, or without any for a while. */
  get hasSynced(): boolean {
    return this.#hasCompared || this.#host.now().monotonicMs - this.#startedMs > ALONE_AFTER_MS;
  }

  noteCompared(): void {
    this.#hasCompared = true;
  }

  start(): void {
    this.life++;
    this.#startedMs = this.#host.now().monotonicMs;
    this.#hasCompared = false;
    const quarantine = new Quarantine(this.#quarantined);
    const rib = new Rib({
      rows: this.table,
      journal: { interrupted: [], during: (_states, take) => take() },
      quarantine,
      switches: () => ({ tables: [], origins: [], features: [] }),
      wallMs: () => this.#host.now().wallMs,
      onQuarantined: (row) => {
        this.#quarantined = quarantine.list();
        this.#host.onQuarantined(row);
      },
    });
    const answers = new Answers(TIER_ROUTER_CONFIG);
    rib.follow((app) => answers.forget(app));
    this.#running = { rib, door: new Door(DOOR_CONFIG), health: new RegionHealth(TIER_ROUTER_CONFIG), answers };
    rib.reload();
  }

  stop(losesDisk: boolean): void {
    this.life++;
    this.#quarantined = this.rib?.quarantine.list() ?? this.#quarantined;
    this.#running = undefined;
    if (!losesDisk) return;
    this.#quarantined = [];
    this.table = new IndexTable(`global-${this.index}/${++this.#databases}`);
  }

  /** A border's rows; what the door refuses changes nothing. */
  publish(what: Publication, rows: readonly PublishedRow[]): Refusal | undefined {
    const refusal = this.#judge(what, rows);
    if (refusal === undefined) this.#write(placementWrites(what.region, what.generation, rows));
    return refusal;
  }

  heartbeat(what: Publication, beat: RegionBeat): Refusal | undefined {
    const refusal = this.#judge(what, [beat]);
    if (refusal === undefined) this.#write([heartbeatWrite(what.region, beat, what.sentMs, this.#host.now().wallMs)]);
    return refusal;
  }

  /** Rows of a peer, or of a fault. */
  join(states: readonly IndexState[]): void {
    const taken = states.filter((state) => this.table.join(state));
    if (taken.length > 0) this.#changed(taken, false);
  }

  /** Rows that are not as they were, by a fault. */
  touched(states: readonly IndexState[]): void {
    this.rib?.onChanged(states.map(changedRowOf));
  }

  resolve(app: string, maxAgeMs: number | undefined): Resolution | undefined {
    if (this.#running === undefined) return undefined;
    const { rib, health, answers } = this.#running;
    const rttMs = (region: string): number | undefined => health.rttMs(region);
    const view = { fib: rib.fib, regions: rib.regions, complete: this.hasSynced, expected: this.#host.regions, rttMs };
    const options = maxAgeMs === undefined ? {} : { maxAgeMs };
    const plan = planResolve(view, app, options, this.#host.now(), TIER_ROUTER_CONFIG);
    return new Resolution(plan, { health, answers, config: TIER_ROUTER_CONFIG });
  }

  #judge({ holder, ...what }: Publication, rows: readonly { readonly highWater: bigint }[]): Refusal | undefined {
    if (this.#running === undefined) return undefined;
    const { rib, door } = this.#running;
    const { region } = what;
    const [row] = this.table.regions(region);
    const known = {
      generation: rib.regions.get(region)?.generation ?? 0,
      rows: rib.fib.appsIn(region),
      heartbeat: row && lastHeartbeat(row),
    };
    const stamps = rows.map(({ highWater }) => highWater);
    return door.judge(holder, { ...what, stamps }, known, this.#host.now());
  }

  #write(writes: readonly RowWrite[]): void {
    const taken = this.table.write(writes);
    if (taken.length > 0) this.#changed(taken, true);
  }

  #changed(states: readonly IndexState[], isOwn: boolean): void {
    const rows: ChangedRow[] = states.map(changedRowOf);
    this.rib?.onChanged(rows);
    this.#host.onTaken(states, isOwn);
  }
}

/** How an answer is told in a trace. */
export function placementText({ app, result, complete, regions }: Placement): string {
  return `${app} ${result} ${complete} ${regions.map(({ region, source }) => `${region}:${source}`).join()}`;
}
