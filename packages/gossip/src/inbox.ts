/**
 * Changes on their way in. A version is applied only after all before it of the same origin, so that no reader sees an
 * origin's later write without its earlier one; what came early waits here, bounded. What does not fit is dropped: it
 * is still a gap, and anti-entropy asks for gaps.
 */
import {
  type Change,
  changeBytes,
  type Hlc,
  type Holding,
  type Holdings,
  NO_HOLDING,
  type OriginId,
  type Range,
  Ranges,
} from "@patina/base";
import type { GossipConfig } from "./config.js";
import type { OriginRanges } from "./frame.js";

export type Arrival =
  { readonly kind: "change"; readonly change: Change } | { readonly kind: "empty"; readonly empty: OriginRanges };

export interface Ready {
  readonly arrivals: Arrival[];
  /** There is more that could be applied now. */
  readonly more: boolean;
  /** Of each origin that waits for the clock, its next change. */
  readonly early: readonly Change[];
}

interface Parked {
  readonly changes: Map<number, Change>;
  empties: Ranges;
}

export class Inbox {
  readonly #config: GossipConfig;
  readonly #byOrigin = new Map<OriginId, Parked>();
  #bytes = 0;
  #versions = 0;
  #emptySpans = 0;
  #dropped = 0;

  constructor(config: GossipConfig) {
    this.#config = config;
  }

  /** Changes and empty ranges that were dropped because the inbox was full. They are fetched again. */
  get droppedCount(): number {
    return this.#dropped;
  }

  get parkedBytes(): number {
    return this.#bytes;
  }

  /** Takes a change in. The caller has checked that it is not held already. */
  offer(change: Change, holdings: Holdings): void {
    const parked = this.#parked(change.origin);
    if (parked.changes.has(change.version)) return;
    const isNext = change.version === nextVersion(holdings.get(change.origin) ?? NO_HOLDING);
    const { parkedBytesMax, parkedVersionsMax } = this.#config;
    const isFull = this.#bytes + changeBytes(change) > parkedBytesMax || this.#versions >= parkedVersionsMax;
    if (isFull && !isNext) {
      this.#dropped++;
      return; // The next version in line always fits: it leaves at once, and without it nothing ever would.
    }
    parked.changes.set(change.version, change);
    this.#bytes += changeBytes(change);
    this.#versions++;
  }

  /** Takes in versions said to be empty. They are bounded like changes: beyond the limit only the next in line fit. */
  offerEmpty({ origin, versions }: OriginRanges, holdings: Holdings): void {
    const parked = this.#parked(origin);
    const all = parked.empties.union(versions);
    if (this.#emptySpans - parked.empties.spanCount + all.spanCount <= this.#config.parkedVersionsMax) {
      this.#setEmpties(parked, all);
      return;
    }
    const next = nextVersion(holdings.get(origin) ?? NO_HOLDING);
    const inLine = versions.spans.find(([low, high]) => low <= next && next <= high);
    if (inLine !== undefined) this.#setEmpties(parked, parked.empties.union(Ranges.of(next, inLine[1])));
    this.#dropped++;
  }

  /** What of an origin is here, waiting. */
  parkedVersions(origin: OriginId): Ranges {
    const parked = this.#byOrigin.get(origin);
    if (parked === undefined) return Ranges.empty;
    return Ranges.from([...parked.changes.keys()].map((version): Range => [version, version])).union(parked.empties);
  }

  /**
   * Takes out what can be applied now, in order, up to about `bytesMax` and nothing stamped after `latest`: an origin
   * whose next change is stamped later waits, the others do not.
   */
  takeReady(holdings: Holdings, bytesMax: number, latest: Hlc): Ready {
    const arrivals: Arrival[] = [];
    const early: Change[] = [];
    let bytes = 0;
    for (const [origin, parked] of this.#byOrigin) {
      let version = nextVersion(holdings.get(origin) ?? NO_HOLDING);
      this.#forgetBelow(parked, version);
      for (;;) {
        if (bytes >= bytesMax) return { arrivals, more: true, early };
        const change = parked.changes.get(version);
        if (change !== undefined && change.hlc > latest) {
          early.push(change);
          break;
        }
        const span = parked.empties.spans.find(([low, high]) => low <= version && version <= high);
        if (change !== undefined) {
          this.#drop(parked, change);
          arrivals.push({ kind: "change", change });
          bytes += changeBytes(change);
          version++;
        } else if (span !== undefined) {
          arrivals.push({ kind: "empty", empty: { origin, versions: Ranges.of(version, span[1]) } });
          version = span[1] + 1;
        } else break;
      }
      this.#forgetBelow(parked, version);
      if (parked.changes.size === 0 && parked.empties.isEmpty) this.#byOrigin.delete(origin);
    }
    return { arrivals, more: false, early };
  }

  /** Versions missing before the earliest one parked, by origin: gaps that are known right now. */
  knownGaps(holdings: Holdings): OriginRanges[] {
    const gaps: OriginRanges[] = [];
    for (const origin of this.#byOrigin.keys()) {
      const parked = this.parkedVersions(origin);
      const last = parked.spans.at(-1)?.[1] ?? 0;
      const missing = Ranges.of(nextVersion(holdings.get(origin) ?? NO_HOLDING), last).subtract(parked);
      if (!missing.isEmpty) gaps.push({ origin, versions: missing });
    }
    return gaps;
  }

  #parked(origin: OriginId): Parked {
    let parked = this.#byOrigin.get(origin);
    if (parked === undefined) this.#byOrigin.set(origin, (parked = { changes: new Map(), empties: Ranges.empty }));
    return parked;
  }

  #forgetBelow(parked: Parked, version: number): void {
    for (const change of parked.changes.values()) if (change.version < version) this.#drop(parked, change);
    if (version > 1) this.#setEmpties(parked, parked.empties.subtract(Ranges.of(1, version - 1)));
  }

  #setEmpties(parked: Parked, empties: Ranges): void {
    this.#emptySpans += empties.spanCount - parked.empties.spanCount;
    parked.empties = empties;
  }

  #drop(parked: Parked, change: Change): void {
    parked.changes.delete(change.version);
    this.#bytes -= changeBytes(change);
    this.#versions--;
  }
}

/** The first version of an origin that is not held. */
function nextVersion(holding: Holding): number {
  return holding.gaps.spans[0]?.[0] ?? holding.head + 1;
}
