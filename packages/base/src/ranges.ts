/** An immutable set of positive integers as sorted, disjoint, inclusive ranges: how gaps and wants are written down. */
import { assert } from "./assert.js";

export type Range = readonly [low: number, high: number];

export class Ranges {
  static readonly empty = new Ranges([]);
  readonly #spans: readonly Range[];

  private constructor(spans: readonly Range[]) {
    this.#spans = spans;
  }

  /** `low..high`, or nothing when `high < low`. */
  static of(low: number, high: number): Ranges {
    assert(Number.isSafeInteger(low) && Number.isSafeInteger(high) && low >= 1, "ranges hold positive integers");
    return high < low ? Ranges.empty : new Ranges([[low, high]]);
  }

  /** Any spans, in any order, overlapping or touching. */
  static from(spans: Iterable<Range>): Ranges {
    const sorted = [...spans].filter(([low, high]) => high >= low).sort((a, b) => a[0] - b[0]);
    const out: [number, number][] = [];
    for (const [low, high] of sorted) {
      assert(Number.isSafeInteger(low) && Number.isSafeInteger(high) && low >= 1, "ranges hold positive integers");
      const last = out.at(-1);
      if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
      else out.push([low, high]);
    }
    return out.length === 0 ? Ranges.empty : new Ranges(out);
  }

  /** The reverse of `toString`. The text is our own: anything else is a bug. */
  static parse(text: string): Ranges {
    const spans = text === "" ? [] : text.split(",").map((span) => span.split("-").map(Number));
    return Ranges.from(spans.map(([low = Number.NaN, high = low]): Range => [low, high]));
  }

  /** How many integers. */
  get size(): number {
    let size = 0;
    for (const [low, high] of this.#spans) size += high - low + 1;
    return size;
  }

  get isEmpty(): boolean {
    return this.#spans.length === 0;
  }

  /** How many spans: what the set costs to store and send. */
  get spanCount(): number {
    return this.#spans.length;
  }

  get spans(): readonly Range[] {
    return this.#spans;
  }

  has(value: number): boolean {
    return this.#spans.some(([low, high]) => low <= value && value <= high);
  }

  union(other: Ranges): Ranges {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    return Ranges.from([...this.#spans, ...other.#spans]);
  }

  subtract(other: Ranges): Ranges {
    if (other.isEmpty || this.isEmpty) return this;
    const out: Range[] = [];
    const cuts = other.#spans;
    let from = 0; // Both are sorted: what lies below this span lies below the next ones, too.
    for (const span of this.#spans) {
      let low = span[0];
      while (from < cuts.length && (cuts[from]?.[1] ?? 0) < low) from++;
      for (let i = from; i < cuts.length; i++) {
        const [cutLow, cutHigh] = cuts[i] as Range;
        if (cutLow > span[1]) break;
        if (cutLow > low) out.push([low, cutLow - 1]);
        low = cutHigh + 1;
      }
      if (low <= span[1]) out.push([low, span[1]]);
    }
    return out.length === 0 ? Ranges.empty : new Ranges(out);
  }

  intersect(other: Ranges): Ranges {
    return this.subtract(this.subtract(other));
  }

  /** The smallest `count` integers. */
  take(count: number): Ranges {
    const out: Range[] = [];
    let left = count;
    for (const [low, high] of this.#spans) {
      if (left <= 0) break;
      const end = Math.min(high, low + left - 1);
      out.push([low, end]);
      left -= end - low + 1;
    }
    return out.length === 0 ? Ranges.empty : new Ranges(out);
  }

  /** The first `count` spans, whatever their length. */
  takeSpans(count: number): Ranges {
    return this.#spans.length <= count ? this : new Ranges(this.#spans.slice(0, count));
  }

  equals(other: Ranges): boolean {
    return this.toString() === other.toString();
  }

  /** `1-4,7` */
  toString(): string {
    return this.#spans.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`)).join(",");
  }
}
