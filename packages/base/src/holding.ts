/**
 * What a member holds of each origin's versions: everything up to `head`, except the gaps. A holding is advanced in
 * the transaction that applied the version and nowhere else: it is the one answer to "have I seen this?".
 */
import { type ByteReader, type ByteWriter, MalformedError } from "./bytes.js";
import { VERSION_MAX } from "./change.js";
import { hash32 } from "./hash.js";
import { type OriginId, ORIGIN_ID_LENGTH } from "./ids.js";
import { type Range, Ranges } from "./ranges.js";

export interface Holding {
  /** The highest version held. */
  readonly head: number;
  /** Versions below `head` that are not held. */
  readonly gaps: Ranges;
}

export type Holdings = ReadonlyMap<OriginId, Holding>;

/** By origin, the version up to which everything is, or must come to be, held. */
export type Heads = ReadonlyMap<OriginId, number>;

export const NO_HOLDING: Holding = { head: 0, gaps: Ranges.empty };

export function heldVersions(holding: Holding): Ranges {
  return Ranges.of(1, holding.head).subtract(holding.gaps);
}

export function holds(holding: Holding | undefined, version: number): boolean {
  return holding !== undefined && version <= holding.head && !holding.gaps.has(version);
}

/** Is everything up to this version held? */
export function holdsUpTo({ head, gaps }: Holding, version: number): boolean {
  return version <= head && (gaps.spans[0]?.[0] ?? Infinity) > version;
}

/** The holding with `versions` held too. */
export function holdAlso(holding: Holding, versions: Ranges): Holding {
  const last = versions.spans.at(-1);
  if (last === undefined) return holding;
  const head = Math.max(holding.head, last[1]);
  const opened = Ranges.of(holding.head + 1, head);
  return { head, gaps: holding.gaps.union(opened).subtract(versions) };
}

/**
 * Holdings as a reader takes them who takes no more than so many spans of an origin: each from its beginning, as far as that
 * goes. What is left out counts as not held, which costs that it is sent again.
 */
export function holdingsWithin(holdings: Holdings, spansMax: number): Holdings {
  if ([...holdings.values()].every(({ gaps }) => gaps.spanCount <= spansMax)) return holdings;
  return new Map([...holdings].map(([origin, holding]) => [origin, holdingWithin(holding, spansMax)]));
}

function holdingWithin(holding: Holding, spansMax: number): Holding {
  const beyond = holding.gaps.spans[spansMax];
  return beyond === undefined ? holding : { head: beyond[0] - 1, gaps: holding.gaps.takeSpans(spansMax) };
}

/**
 * A 64-bit fingerprint as 16 hex digits, independent of order. Equal holdings have equal fingerprints; that unequal
 * ones collide costs one round of anti-entropy in 2^64.
 */
export function holdingsHash(holdings: Holdings): string {
  let high = 0;
  let low = 0;
  for (const [origin, { head, gaps }] of holdings) {
    const text = `${origin}:${head}:${gaps.toString()}`;
    high = (high + hash32(text, 1)) >>> 0;
    low = (low + hash32(text, 2)) >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

export function writeRanges(writer: ByteWriter, ranges: Ranges): void {
  writer.varint(ranges.spanCount);
  let last = 0;
  for (const [low, high] of ranges.spans) {
    writer.varint(low - last).varint(high - low);
    last = high;
  }
}

export function readRanges(reader: ByteReader, spansMax: number): Ranges {
  const spans: Range[] = [];
  let last = 0;
  for (let left = reader.count(spansMax); left > 0; left--) {
    const low = last + reader.varint();
    const high = low + reader.varint();
    if (low < 1 || high > VERSION_MAX) throw new MalformedError("a range out of bounds");
    spans.push([low, high]);
    last = high;
  }
  return Ranges.from(spans);
}

export function writeHoldings(writer: ByteWriter, holdings: Holdings): void {
  writer.varint(holdings.size);
  for (const [origin, { head, gaps }] of holdings) {
    writer.hex(origin).varint(head);
    writeRanges(writer, gaps);
  }
}

export function writeHeads(writer: ByteWriter, heads: Heads): void {
  writer.varint(heads.size);
  for (const [origin, head] of heads) writer.hex(origin).varint(head);
}

export function readHeads(reader: ByteReader, originsMax: number): Map<OriginId, number> {
  const heads = new Map<OriginId, number>();
  for (let left = reader.count(originsMax); left > 0; left--) {
    const origin = reader.hex(ORIGIN_ID_LENGTH);
    const head = reader.varint();
    if (head > VERSION_MAX) throw new MalformedError("a version out of bounds");
    heads.set(origin, head);
  }
  return heads;
}

export function readHoldings(reader: ByteReader, originsMax: number, spansMax: number): Map<OriginId, Holding> {
  const holdings = new Map<OriginId, Holding>();
  for (let left = reader.count(originsMax); left > 0; left--) {
    const origin = reader.hex(ORIGIN_ID_LENGTH);
    const head = reader.varint();
    if (head > VERSION_MAX) throw new MalformedError(`head ${head}`);
    const gaps = readRanges(reader, spansMax);
    if ((gaps.spans.at(-1)?.[1] ?? 0) >= head && !gaps.isEmpty) throw new MalformedError("a gap above its head");
    holdings.set(origin, { head, gaps });
  }
  return holdings;
}

/** Holdings as they are written in manifests: by origin, the held versions as text (`1-40,42`). */
export function parseHoldings(written: Readonly<Record<string, string>>): Map<OriginId, Holding> {
  return new Map(Object.entries(written).map(([origin, held]) => [origin, holdAlso(NO_HOLDING, Ranges.parse(held))]));
}
