/**
 * The index as one global agent has it: a row state with the greater stamp wins, as in the store, whose rules for writes with
 * a stamp these are. A model of it, small enough for thousands of tiers.
 */
import { type ChangedRow, compareStamps, type RowWrite, type SqlValue, type Stamp } from "@patina/base";
import type { PageEnd, PlacementsPage, RibRows, StoredPlacement, StoredRegion } from "@patina/router";

export interface IndexState {
  readonly table: string;
  readonly key: readonly string[];
  /** None for a deleted row. */
  readonly values: Readonly<Record<string, SqlValue>> | undefined;
  readonly stamp: Stamp;
}

export class IndexTable implements RibRows {
  readonly #states = new Map<string, IndexState>();
  readonly #origin: string;
  /** Live rows by table, in order, until the next change. */
  readonly #sorted = new Map<string, readonly IndexState[]>();
  /** Counts changes. */
  revision = 0;
  /** Rows that a fault has taken: of those, an older state may come back. */
  readonly dropped = new Set<string>();
  #version = 0;

  constructor(origin: string) {
    this.#origin = origin;
  }

  states(): Iterable<IndexState> {
    return this.#states.values();
  }

  /** The states that changed. One that is older than what is there, or says the same, changes nothing. */
  write(writes: readonly RowWrite[]): IndexState[] {
    const version = ++this.#version;
    return writes.flatMap((write) => {
      const state = this.#stateOf(write, version);
      if (state === undefined) return [];
      this.#set(state);
      return [state];
    });
  }

  /** True when it is greater than what is there. */
  join(state: IndexState): boolean {
    const known = this.#states.get(idOf(state));
    if (known !== undefined && compareStamps(state.stamp, known.stamp) <= 0) return false;
    this.#set(state);
    return true;
  }

  /** A fault: the row is no more, as if it had never been. */
  drop(state: IndexState): void {
    this.#states.delete(idOf(state));
    this.#changed();
    this.dropped.add(idOf(state));
  }

  placements(app?: string): readonly StoredPlacement[] {
    const rows = app === undefined ? this.#live("placements") : this.#ofApp(app);
    return rows.map(({ values = {}, stamp }) => {
      const { app: name = null, region = null, class: cls = "standby" } = values;
      return { app: name, region, class: cls, epoch: BigInt(stamp.epoch), hlc: stamp.hlc, origin: stamp.origin };
    });
  }

  placementsPage(after: PageEnd | undefined, appsMax: number): PlacementsPage {
    const rows = this.placements();
    const names = [...new Set(rows.map(({ app }) => String(app)))].sort();
    const next = names.filter((name) => after === undefined || name > String(after.name)).slice(0, appsMax);
    const page = next.flatMap((name) => rows.filter(({ app }) => app === name));
    const last = next.at(-1);
    return { rows: page, next: last === undefined ? undefined : { name: last, isText: true } };
  }

  regions(region?: string): readonly StoredRegion[] {
    const rows = this.#live("regions").filter(({ key }) => region === undefined || key[0] === region);
    return rows.map(({ values = {}, stamp }) => {
      const { region: name = null, generation = null, heartbeat_ms: heartbeatMs = null, apis = null } = values;
      const { location = null, apps = null } = values;
      const clock = { epoch: BigInt(stamp.epoch), hlc: stamp.hlc, origin: stamp.origin };
      return { region: name, generation, heartbeatMs, apis, location, apps, ...clock };
    });
  }

  #set(state: IndexState): void {
    this.#states.set(idOf(state), state);
    this.#changed();
  }

  #changed(): void {
    this.revision++;
    this.#sorted.clear();
  }

  #ofApp(app: string): IndexState[] {
    const rows: IndexState[] = [];
    for (const state of this.#states.values()) {
      if (state.key[0] === app && state.table === "placements" && state.values !== undefined) rows.push(state);
    }
    return rows.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  }

  #live(table: string): readonly IndexState[] {
    const known = this.#sorted.get(table);
    if (known !== undefined) return known;
    const live = [...this.#states.values()].filter((state) => state.table === table && state.values !== undefined);
    live.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
    this.#sorted.set(table, live);
    return live;
  }

  #stateOf({ table, values, deleted = false, stamp }: RowWrite, version: number): IndexState | undefined {
    const key = table === "placements" ? [String(values.app), String(values.region)] : [String(values.region)];
    const known = this.#states.get(idOf({ table, key }));
    const { epoch = 1, hlc = 0n } = stamp ?? {};
    const last = known?.stamp;
    if (last !== undefined && (epoch < last.epoch || (epoch === last.epoch && hlc < last.hlc))) return undefined;
    const next = deleted ? undefined : values;
    const isRepeated = epoch === last?.epoch && hlc === last.hlc;
    if (known !== undefined && textOf(next) === textOf(known.values) && (next !== undefined || isRepeated))
      return undefined;
    return {
      table,
      key,
      values: next,
      stamp: { epoch, hlc: isRepeated ? hlc + 1n : hlc, origin: this.#origin, version },
    };
  }
}

export function changedRowOf({ table, key, values }: IndexState): ChangedRow {
  return { table, key, kind: values === undefined ? "delete" : "upsert", appBefore: undefined, app: undefined };
}

export function idOf({ table, key }: Pick<IndexState, "table" | "key">): string {
  const [first = "", second = ""] = key;
  return `${table}/${first}/${second}`;
}

function textOf(values: IndexState["values"]): string {
  return values === undefined
    ? ""
    : JSON.stringify(values, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
