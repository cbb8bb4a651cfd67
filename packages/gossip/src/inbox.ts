/**
 * Changes on their way in. A version is applied only after all before it of the same origin, so that no reader sees an
 * origin's later write without its earlier one; what came early waits here, bounded. What does not fit is dropped, of an
 * origin the last first: it is still a gap, and anti-entropy asks for gaps.
 *
 * Origins take turns, a few kilobytes each, and none may fill the room by itself: one that storms delays itself. Those left
 * out of a slice come first in the next, then those that had nothing waiting before, then those that were served.
 */
import {
  type Change,
  changeBytes,
  heldVersions,
  type Hlc,
  type Holding,
  type Holdings,
  NO_HOLDING,
  type OriginId,
  Ranges,
} from "@patina/base";
import type { GossipConfig } from "./config.js";
import type { OriginRanges } from "./frame.js";
import { type Arrival, Parked, type Room, type Turn } from "./parked.js";

export interface Ready {
  readonly arrivals: Arrival[];
  /** There is more that could be applied now. */
  readonly more: boolean;
  /** Of each origin that waits for the clock, its next change. */
  readonly early: readonly Change[];
}

/** Whom a slice is for: those, too, of which something was taken and the rest waits, or only those that came since. */
export type Served = "all" | "fresh";

interface Line {
  readonly origin: OriginId;
  readonly parked: Parked;
  readonly next: number;
  readonly last: number;
}

export class Inbox {
  readonly #config: GossipConfig;
  readonly #byOrigin = new Map<OriginId, Parked>();
  #bytes = 0;
  #versions = 0;
  #emptySpans = 0;
  #dropped = 0;
  /** Slices for all that were taken out so far. */
  #slices = 0;

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
    const parked = this.#parkedOf(change.origin);
    if (parked.has(change.version)) return;
    const isNext = change.version === nextVersion(holdings.get(change.origin) ?? NO_HOLDING);
    // The next version in line always fits: it leaves at once, and without it nothing ever would.
    if (!isNext && !this.#makeRoom(parked, change)) {
      this.#dropped++;
      return;
    }
    this.#alter(parked, change.origin, () => parked.add(change));
  }

  /** Takes in versions said to be empty. They are bounded like changes: beyond the limit the first and the next in line fit. */
  offerEmpty({ origin, versions }: OriginRanges, holdings: Holdings): void {
    const parked = this.#parkedOf(origin);
    const all = parked.empties.union(versions);
    const room = this.#config.parkedVersionsMax - (this.#emptySpans - parked.emptySpans);
    const kept = all.takeSpans(Math.max(0, room));
    if (kept.spanCount < all.spanCount) this.#dropped++;
    const next = nextVersion(holdings.get(origin) ?? NO_HOLDING);
    const inLine = versions.spans.find(([low, high]) => low <= next && next <= high);
    const taken = inLine === undefined ? kept : kept.union(Ranges.of(next, inLine[1]));
    this.#alter(parked, origin, () => parked.setEmpties(taken));
  }

  /** What of an origin is here, waiting. */
  parkedVersions(origin: OriginId): Ranges {
    return this.#byOrigin.get(origin)?.versions ?? Ranges.empty;
  }

  /** Drops what waits of origins that nobody should take anything of, but for these versions. */
  forget(isGone: (origin: OriginId) => boolean, except: (origin: OriginId) => Ranges): void {
    for (const [origin, parked] of this.#byOrigin) {
      if (isGone(origin)) this.#alter(parked, origin, () => parked.keep(except(origin)));
    }
  }

  /**
   * Takes out what can be applied now, each origin's in order, and nothing stamped after `latest`: an origin whose next change
   * is stamped later waits, the others do not. A slice is of `bytesMax`, or of one change that is larger.
   */
  takeReady(holdings: Holdings, bytesMax: number, latest: Hlc, served: Served = "all"): Ready {
    if (served === "all") this.#slices++; // A slice for the fresh leaves nobody out.
    const arrivals: Arrival[] = [];
    const early: Change[] = [];
    let bytes = 0;
    let more = false;
    let waiting = this.#inTurn(served).map(([origin, parked]) => ({ origin, parked, ...lineOf(holdings.get(origin)) }));
    while (waiting.length > 0) {
      const again: typeof waiting = [];
      for (const line of waiting) {
        // With no room left, too: all that wait for the clock are told.
        const turn = this.#serve(line, { roomBytes: bytesMax - bytes, isFirst: bytes === 0 }, latest);
        for (const arrival of turn.arrivals) arrivals.push(arrival);
        bytes += turn.bytes;
        if (turn.early !== undefined) early.push(turn.early);
        if (!turn.more) continue;
        // It does not fit any more; or what comes after the gap is held, and the rest follows from the new holdings.
        if (turn.arrivals.length === 0 || turn.next > line.last) more = true;
        else again.push({ ...line, next: turn.next });
      }
      waiting = again;
    }
    return { arrivals, more, early };
  }

  /** Versions missing before the last one parked, by origin: gaps that are known right now. */
  knownGaps(holdings: Holdings): OriginRanges[] {
    const gaps: OriginRanges[] = [];
    for (const [origin, { versions }] of this.#byOrigin) {
      const holding = holdings.get(origin) ?? NO_HOLDING;
      const last = versions.spans.at(-1)?.[1] ?? 0;
      const missing = Ranges.of(nextVersion(holding), last).subtract(versions).subtract(heldVersions(holding));
      if (!missing.isEmpty) gaps.push({ origin, versions: missing });
    }
    return gaps;
  }

  #parkedOf(origin: OriginId): Parked {
    return this.#byOrigin.get(origin) ?? new Parked(origin, this.#slices);
  }

  #inTurn(served: Served): [OriginId, Parked][] {
    const waiting = [...this.#byOrigin].filter(([, { servedIn }]) => served === "all" || servedIn === undefined);
    const rank = ({ cameAfter, servedIn }: Parked): number => servedIn ?? cameAfter - 0.5;
    return waiting.sort(([, a], [, b]) => rank(a) - rank(b));
  }

  #serve({ origin, parked, next, last }: Line, room: Room, latest: Hlc): Turn {
    return this.#alter(parked, origin, () => {
      parked.forgetBelow(next);
      const turn = parked.take(next, last, { ...room, turnBytes: this.#config.turnBytes }, latest);
      if (turn.arrivals.length > 0) parked.servedIn = this.#slices;
      return turn;
    });
  }

  /** Does it, and keeps count of what is parked in all. */
  #alter<T>(parked: Parked, origin: OriginId, act: () => T): T {
    const { bytes, changeCount, emptySpans } = parked;
    const result = act();
    this.#bytes += parked.bytes - bytes;
    this.#versions += parked.changeCount - changeCount;
    this.#emptySpans += parked.emptySpans - emptySpans;
    if (parked.isEmpty) this.#byOrigin.delete(origin);
    else if (!this.#byOrigin.has(origin)) this.#byOrigin.set(origin, parked);
    return result;
  }

  /**
   * Later versions of its origin give way: their turn comes after it. Else what came far ahead would keep out what it waits for,
   * and an origin would go on by one version for each answer.
   */
  #makeRoom(parked: Parked, change: Change): boolean {
    while (this.#isFullFor(parked, changeBytes(change))) {
      if (parked.lastChange <= change.version) return false;
      this.#alter(parked, change.origin, () => parked.dropLast());
      this.#dropped++;
    }
    return true;
  }

  #isFullFor(parked: Parked, bytes: number): boolean {
    const { parkedBytesMax, parkedVersionsMax, parkedOriginShare } = this.#config;
    if (this.#bytes + bytes > parkedBytesMax || this.#versions >= parkedVersionsMax) return true;
    const isOverShare =
      parked.bytes + bytes > parkedBytesMax * parkedOriginShare ||
      parked.changeCount >= parkedVersionsMax * parkedOriginShare;
    return isOverShare;
  }
}

/** Which versions are next: from the first that is not held to the last before one that is. */
function lineOf(holding: Holding = NO_HOLDING): { next: number; last: number } {
  return { next: nextVersion(holding), last: holding.gaps.spans[0]?.[1] ?? Infinity };
}

/** The first version of an origin that is not held. */
function nextVersion(holding: Holding): number {
  return holding.gaps.spans[0]?.[0] ?? holding.head + 1;
}
