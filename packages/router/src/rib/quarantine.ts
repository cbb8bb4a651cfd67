/**
 * Rows of the global tier that are kept out of the map, each with its reason and with what the map goes on to serve in its
 * place: the last state of the row that made sense. Plain data, so that it survives a restart.
 *
 * A row in whose consumption the process ended is a suspect: it stays out, whatever it looks like, until it changes.
 */
import type { Route } from "../fib.js";
import type { RegionState } from "../grade.js";

export interface QuarantinedRow<T = Route | RegionState> {
  readonly table: string;
  /** The app; for a region's own row undefined. */
  readonly app: string | undefined;
  readonly region: string;
  readonly reason: string;
  /** Names this state of the row: a row that changed is judged anew. */
  readonly state: string;
  /** Who wrote it. */
  readonly origin: string;
  readonly sinceMs: number;
  readonly lastGood: T | undefined;
}

/** Rows listed; of more, only the number is known, and their last good states stay in the map until a restart. */
const QUARANTINED_MAX = 1000;

export class Quarantine {
  readonly #rows = new Map<string, QuarantinedRow>();
  readonly #suspects = new Set<string>();
  #total = 0;

  constructor(rows: readonly QuarantinedRow[] = [], suspects: readonly string[] = []) {
    for (const row of rows.slice(0, QUARANTINED_MAX)) this.#rows.set(idOf(row), row);
    for (const state of suspects) this.#suspects.add(state);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Rows that were put aside, ever. */
  get total(): number {
    return this.#total;
  }

  list(): readonly QuarantinedRow[] {
    return [...this.#rows.values()];
  }

  suspects(): readonly string[] {
    return [...this.#suspects];
  }

  isSuspect(state: string): boolean {
    return this.#suspects.has(state);
  }

  /** What to serve in place of a row that is put aside, when the map has nothing. */
  lastGood(row: RowName): Route | RegionState | undefined {
    return this.#find(row)?.lastGood;
  }

  /** True when this state of the row was not aside yet. */
  put(row: QuarantinedRow): boolean {
    const id = idOf(row);
    const known = this.#rows.get(id);
    if (known?.state === row.state && known.reason === row.reason) return false;
    this.#total++;
    if (known === undefined && this.#rows.size >= QUARANTINED_MAX) return true;
    this.#rows.set(id, row);
    return true;
  }

  /** The row makes sense again, or is gone. True when it was aside. */
  release(row: RowName): boolean {
    const known = this.#find(row);
    if (known === undefined) return false;
    this.#suspects.delete(known.state);
    return this.#rows.delete(idOf(row));
  }

  /** Asked for every row that is taken, and nearly always there is none aside. */
  #find(row: RowName): QuarantinedRow | undefined {
    return this.#rows.size === 0 ? undefined : this.#rows.get(idOf(row));
  }

  /** An operator gives them another chance. */
  acquit(): void {
    this.#suspects.clear();
  }
}

export interface RowName {
  readonly table: string;
  readonly app: string | undefined;
  readonly region: string;
}

function idOf({ table, app, region }: RowName): string {
  return JSON.stringify([table, app ?? null, region]);
}
