/**
 * Several regions, the global tier and its routers in one virtual time, from one seed. Whatever decides is what production
 * runs: border, summary, door, map, quarantine, plan, resolution. The detail of a region and the table of the index are models.
 *
 *   clients ─► RegionSite ─► Border ─► wires ─► GlobalSite: Door, Rib ─gossip─► GlobalSite ─► Resolution ─► RegionSite
 *                 plan ─► inject (faults)                 └► checkers
 */
import { hash32, must, type Now, Rng } from "@patina/base";
import { BrakeWatch } from "../checkers/brake-watch.js";
import { TierFindings } from "../checkers/findings.js";
import { Truth } from "../checkers/truth.js";
import { GlobalSites } from "../global/global-sites.js";
import { TIER_WARM_UP_MS, type TierPlan } from "../plan/tier-plan.js";
import { RegionSite } from "../region/region-site.js";
import { Clocks } from "../../world/clocks.js";
import { EventQueue } from "../../world/event-queue.js";
import { TierClients } from "./tier-clients.js";
import { injectTier } from "./tier-inject.js";
import { type Site, Wires } from "./wires.js";

/** A call without an answer is given up after this. */
const CALL_TIMEOUT_MS = 400;
/** The truth is looked at, and what must always hold is checked, so often. */
export const TIER_LOOK_EVERY_MS = 250;

interface Event {
  readonly label: string;
  readonly run: () => void;
}

export class TierWorld {
  readonly plan: TierPlan;
  readonly rng: Rng;
  readonly wires: Wires;
  readonly clocks: Clocks;
  readonly findings = new TierFindings();
  readonly regions: readonly RegionSite[];
  readonly globals: GlobalSites;
  readonly truth: Truth;
  readonly brakes: BrakeWatch;
  readonly clients: TierClients;
  readonly #queue = new EventQueue<Event>();
  readonly #isEmpty: boolean;
  #nowMs = 0;
  #steps = 0;
  #trace = 0;
  isHealed = false;

  /** `isEmpty`: there are no machines and no callers but those that the caller sees to. */
  constructor(seed: number, plan: TierPlan, { isEmpty = false }: { readonly isEmpty?: boolean } = {}) {
    this.#isEmpty = isEmpty;
    this.plan = plan;
    this.rng = new Rng(seed);
    this.wires = new Wires(this.rng.fork(), plan.delayMaxMs);
    // The last clock is that of the global tier, which is right: its own cluster keeps it so.
    this.clocks = new Clocks([...plan.clockOffsetsMs, 0], []);
    this.regions = Array.from({ length: plan.regions }, (_, i) => new RegionSite(this, i));
    this.globals = new GlobalSites(this);
    this.truth = new Truth(this);
    this.brakes = new BrakeWatch(this);
    this.clients = new TierClients(this, this.rng.fork());
    this.after(TIER_WARM_UP_MS, "weather", () => (this.wires.lossProbability = plan.lossProbability));
    for (const { atMs, fault } of plan.faults) {
      this.after(atMs, JSON.stringify(fault), () => injectTier(this, fault));
    }
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get steps(): number {
    return this.#steps;
  }

  /** Same seed, same trace: a fingerprint of every event so far, in order. */
  get traceHash(): string {
    return this.#trace.toString(16).padStart(8, "0");
  }

  start(): void {
    for (const region of this.regions) region.start();
    this.globals.start();
    if (!this.#isEmpty) this.clients.start();
  }

  now(region: number | undefined): Now {
    return this.clocks.now(region ?? this.plan.regions, this.#nowMs);
  }

  region(index: number): RegionSite {
    return must(this.regions[index], `a region ${index}`);
  }

  after(afterMs: number, label: string, run: () => void): void {
    this.#queue.push(this.#nowMs + afterMs, { label, run });
  }

  note(what: string): void {
    this.#trace = hash32(`${this.#nowMs} ${what}`, this.#trace);
  }

  /** One way, and it may not arrive. */
  send(from: Site, to: Site, label: string, arrive: () => void, lateMs = 0): void {
    const delayMs = this.wires.delayMs(from, to);
    if (delayMs !== undefined) this.after(delayMs + lateMs, label, arrive);
  }

  /** There and back: `done` gets what `serve` gave, or nothing once it took too long. */
  call<T>(
    from: Site,
    to: Site,
    label: string,
    serve: () => T | undefined,
    done: (answer: T | undefined) => void,
  ): void {
    let isDone = false;
    const end = (answer: T | undefined): void => {
      if (isDone) return;
      isDone = true;
      done(answer);
    };
    this.send(from, to, label, () => {
      const answer = serve();
      if (answer !== undefined) this.send(to, from, `${label} answered`, () => end(answer));
    });
    this.after(CALL_TIMEOUT_MS, `${label} late`, () => end(undefined));
  }

  runUntil(endMs: number): void {
    for (;;) {
      const next = this.#queue.pop();
      if (next === undefined) break;
      if (next.atMs > endMs) {
        this.#queue.pushBack(next);
        break;
      }
      this.#nowMs = next.atMs;
      this.#steps++;
      this.note(next.item.label);
      next.item.run();
    }
    this.#nowMs = endMs;
  }

  /** Everybody is up, sees everything and reaches everybody, from now on. */
  heal(): void {
    this.isHealed = true;
    this.wires.lossProbability = 0;
    this.wires.joinAll();
    this.clocks.heal(this.#nowMs);
    for (const region of this.regions) region.heal();
    this.globals.heal();
  }
}
