/**
 * One origin's versions that came before their predecessors, waiting for their turn: changes, and ranges known to be empty.
 */
import { type Change, changeBytes, type Hlc, type OriginId, type Range, Ranges } from "@patina/base";
import type { OriginRanges } from "./frame.js";

export type Arrival =
  { readonly kind: "change"; readonly change: Change } | { readonly kind: "empty"; readonly empty: OriginRanges };

/** What an origin gave when its turn came. */
export interface Turn {
  readonly arrivals: readonly Arrival[];
  readonly bytes: number;
  /** Its next change, stamped too late to be taken now. */
  readonly early: Change | undefined;
  /** The version after those. */
  readonly next: number;
  /** There is more that follows on from them, or, with a gap filled, that may. */
  readonly more: boolean;
}

/** What is left of a slice. The first change of one is taken however large it is. */
export interface Room {
  readonly roomBytes: number;
  readonly isFirst: boolean;
}

/** What an origin may give in its turn. */
export interface Allowance extends Room {
  readonly turnBytes: number;
}

export class Parked {
  readonly #origin: OriginId;
  /** How many slices had been taken out when its first version came, and which of them was the last to take of these. */
  readonly cameAfter: number;
  servedIn: number | undefined;
  readonly #changes = new Map<number, Change>();
  #versions = Ranges.empty;
  #empties = Ranges.empty;
  #bytes = 0;

  constructor(origin: OriginId, cameAfter: number) {
    this.#origin = origin;
    this.cameAfter = cameAfter;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get changeCount(): number {
    return this.#changes.size;
  }

  get emptySpans(): number {
    return this.#empties.spanCount;
  }

  get isEmpty(): boolean {
    return this.#changes.size === 0 && this.#empties.isEmpty;
  }

  /** All that is here. */
  get versions(): Ranges {
    return this.#versions.union(this.#empties);
  }

  /** The last version of which the change is here; 0 without one. */
  get lastChange(): number {
    return this.#versions.spans.at(-1)?.[1] ?? 0;
  }

  dropLast(): void {
    const last = this.lastChange;
    this.#drop(last);
    if (last > 0) this.#versions = this.#versions.subtract(Ranges.of(last, last));
  }

  has(version: number): boolean {
    return this.#changes.has(version);
  }

  add(change: Change): void {
    this.#changes.set(change.version, change);
    this.#versions = this.#versions.union(Ranges.of(change.version, change.version));
    this.#bytes += changeBytes(change);
  }

  get empties(): Ranges {
    return this.#empties;
  }

  setEmpties(empties: Ranges): void {
    this.#empties = empties;
  }

  /** Drops everything but these versions. */
  keep(versions: Ranges): void {
    for (const version of this.#changes.keys()) if (!versions.has(version)) this.#drop(version);
    this.#versions = this.#versions.intersect(versions);
    this.#empties = this.#empties.intersect(versions);
  }

  /** Everything before `version` is held by now. */
  forgetBelow(version: number): void {
    if (version <= 1) return;
    const below = Ranges.of(1, version - 1);
    for (const [low, high] of this.#versions.spans) {
      if (low >= version) break;
      for (let old = low; old <= Math.min(high, version - 1); old++) this.#drop(old);
    }
    this.#versions = this.#versions.subtract(below);
    if ((this.#empties.spans[0]?.[0] ?? version) < version) this.#empties = this.#empties.subtract(below);
  }

  /**
   * Takes out what follows on from `next` up to `last`, about `turnBytes` of it, nothing that there is no room for, and nothing
   * stamped after `latest`.
   */
  take(next: number, last: number, { turnBytes, roomBytes, isFirst }: Allowance, latest: Hlc): Turn {
    const arrivals: Arrival[] = [];
    let version = next;
    let bytes = 0;
    let early: Change | undefined;
    let isFull = false;
    while (version <= last) {
      const change = this.#changes.get(version);
      if (change !== undefined && change.hlc > latest) {
        early = change;
        break;
      }
      const sizeBytes = change === undefined ? 0 : changeBytes(change);
      isFull = bytes >= turnBytes || (bytes + sizeBytes > roomBytes && !(isFirst && bytes === 0));
      if (isFull) break;
      const arrival = change === undefined ? this.#emptyFrom(version, last) : ({ kind: "change", change } as const);
      if (arrival === undefined) break;
      arrivals.push(arrival);
      bytes += sizeBytes;
      if (arrival.kind === "change") version++;
      else version = (arrival.empty.versions.spans.at(-1)?.[1] ?? version) + 1;
    }
    this.forgetBelow(version);
    const more = version > last ? !this.isEmpty : isFull && this.#follows(version);
    return { arrivals, bytes, early, next: version, more };
  }

  #follows(version: number): boolean {
    return this.#changes.has(version) || this.#spanAt(version) !== undefined;
  }

  #emptyFrom(version: number, last: number): Arrival | undefined {
    const span = this.#spanAt(version);
    if (span === undefined) return undefined;
    return { kind: "empty", empty: { origin: this.#origin, versions: Ranges.of(version, Math.min(span[1], last)) } };
  }

  #spanAt(version: number): Range | undefined {
    return this.#empties.spans.find(([low, high]) => low <= version && version <= high);
  }

  #drop(version: number): void {
    const change = this.#changes.get(version);
    if (change === undefined) return;
    this.#changes.delete(version);
    this.#bytes -= changeBytes(change);
  }
}
