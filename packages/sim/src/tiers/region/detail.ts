/**
 * The detail of a region as one agent has it: machines as whole rows, the later stamp wins. A model of the store and the
 * gossip that carry it in production, small enough for thousands of regions; what is derived from it is the real thing.
 */
import { hash32, type Hlc } from "@patina/base";
import type { PlacementClass } from "@patina/router";

export type MachineState = "created" | "started" | "destroyed";

export interface MachineRow {
  readonly id: string;
  readonly app: string;
  readonly state: MachineState;
  /** Counts updates, so that each is a change. */
  readonly revision: number;
}

/** One write of one agent, in the order of that agent's writes. */
export interface DetailEntry {
  readonly origin: string;
  readonly version: number;
  readonly hlc: Hlc;
  readonly row: MachineRow;
}

export class Detail {
  readonly #entries = new Map<string, DetailEntry>();
  readonly #heads = new Map<string, { head: number; held: number }>();
  readonly #rows = new Map<string, DetailEntry>();
  readonly #rowsByApp = new Map<string, Map<string, DetailEntry>>();
  readonly #classByApp = new Map<string, PlacementClass>();
  readonly #highByApp = new Map<string, Hlc>();
  high: Hlc = 0n;
  /** The same for those that hold the same, in whatever order it came. */
  #mark = 0;

  /** Writes that came, ever. */
  get size(): number {
    return this.#entries.size;
  }

  holdsAs(other: Detail): boolean {
    return this.size === other.size && this.#mark === other.#mark;
  }

  entries(): Iterable<DetailEntry> {
    return this.#entries.values();
  }

  /** True when it was new. */
  take(entry: DetailEntry): boolean {
    const { origin, version, hlc, row } = entry;
    const id = `${origin}:${version}`;
    if (this.#entries.has(id)) return false;
    this.#entries.set(id, entry);
    this.#mark ^= hash32(id);
    const { head, held } = this.#heads.get(origin) ?? { head: 0, held: 0 };
    this.#heads.set(origin, { head: Math.max(head, version), held: held + 1 });
    if (hlc > this.high) this.high = hlc;
    if (hlc > (this.#highByApp.get(row.app) ?? 0n)) this.#highByApp.set(row.app, hlc);
    const before = this.#rows.get(row.id);
    if (before !== undefined && (before.hlc > hlc || (before.hlc === hlc && before.origin > origin))) return true;
    this.#rows.set(row.id, entry);
    const ofApp = this.#rowsByApp.get(row.app) ?? new Map<string, DetailEntry>();
    this.#rowsByApp.set(row.app, ofApp.set(row.id, entry));
    this.#classify(row.app);
    return true;
  }

  head(origin: string): number {
    return this.#heads.get(origin)?.head ?? 0;
  }

  /** Is a version missing before one that came? */
  get hasGaps(): boolean {
    return [...this.#heads.values()].some(({ head, held }) => held < head);
  }

  apps(): string[] {
    return [...this.#classByApp.keys()];
  }

  machines(app: string): MachineRow[] {
    const entries = [...(this.#rowsByApp.get(app)?.values() ?? [])];
    return entries.map(({ row }) => row).filter(({ state }) => state !== "destroyed");
  }

  classOf(app: string): PlacementClass | undefined {
    return this.#classByApp.get(app);
  }

  /** As the view `app_placement` of a region has it. */
  #classify(app: string): void {
    const machines = this.machines(app);
    if (machines.length === 0) this.#classByApp.delete(app);
    else this.#classByApp.set(app, machines.some(({ state }) => state === "started") ? "serving" : "standby");
  }

  highWater(app: string): Hlc {
    return this.#highByApp.get(app) ?? 0n;
  }
}
