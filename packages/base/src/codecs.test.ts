/** Values, changes, ranges and holdings survive the wire byte for byte, and forged ones are refused at the door. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, MalformedError } from "./bytes.js";
import { type Change, changeBytes, HLC_MAX, readChange, VERSION_MAX, writeChange } from "./change.js";
import {
  heldVersions,
  holdAlso,
  type Holding,
  holdingsHash,
  holds,
  NO_HOLDING,
  readHoldings,
  readRanges,
  writeHoldings,
  writeRanges,
} from "./holding.js";
import type { OriginId } from "./ids.js";
import { type Range, Ranges } from "./ranges.js";
import { readValue, type SqlValue, valueToJson, writeValue } from "./value.js";

const hexOf = (writer: ByteWriter): string => Buffer.from(writer.done()).toString("hex");
const readerOf = (hex: string): ByteReader => new ByteReader(new Uint8Array(Buffer.from(hex, "hex")));
const originOf = (n: number): OriginId => n.toString(16).padStart(48, "0");

const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt(-(1n << 63n), (1n << 63n) - 1n),
  fc.bigInt(-(1n << 32n), 1n << 32n),
  fc.double(),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
);
const ranges = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.nat(9)), { maxLength: 8 })
  .map((spans) => Ranges.from(spans.map(([low, more]): Range => [low, low + more])));
const holding = ranges.map((versions) => holdAlso(NO_HOLDING, versions));
const holdings = fc
  .uniqueArray(fc.nat(1000), { maxLength: 6 })
  .chain((ids) => fc.tuple(...ids.map((id) => fc.tuple(fc.constant(originOf(id)), holding))))
  .map((entries) => new Map(entries));
const change: fc.Arbitrary<Change> = fc.record({
  origin: fc.nat(1000).map(originOf),
  version: fc.integer({ min: 1, max: VERSION_MAX }),
  hlc: fc.bigInt(0n, HLC_MAX),
  body: fc.uint8Array({ maxLength: 50 }),
});

describe("round trips", () => {
  test("a value keeps its type: 1, 1.0, '1' and the byte 1 stay apart", () => {
    fc.assert(
      fc.property(value, (it) => {
        const reader = new ByteReader(new ByteWriter().u8(0).raw(written(it)).done());
        reader.u8();
        expect(readValue(reader, 1000)).toEqual(it);
        expect(reader.isAtEnd).toBe(true);
      }),
      { numRuns: 400 },
    );
    const bytes = [1n, 1, "1", new Uint8Array([1]), null, -0].map((it) => Buffer.from(written(it)).toString("hex"));
    expect(bytes).toEqual(["0102", "033ff0000000000000", "040131", "050101", "00", "038000000000000000"]);
  });

  test("64-bit integers are exact, and small ones are short", () => {
    const sizes = [0n, 63n, -64n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 63n - 1n, -(2n ** 63n)].map((it) => {
      expect(readValue(new ByteReader(written(it)), 0)).toBe(it);
      return written(it).length;
    });
    expect(sizes).toEqual([2, 2, 2, 6, 9, 9, 9]);
  });

  test("a change, and its size is never more than was accounted for", () => {
    fc.assert(
      fc.property(change, (it) => {
        const writer = new ByteWriter();
        writeChange(writer, it);
        expect(readChange(new ByteReader(writer.done()), 50)).toEqual(it);
        expect(writer.length).toBeLessThanOrEqual(changeBytes(it));
      }),
    );
    const golden = new ByteWriter();
    writeChange(golden, { origin: "ab".repeat(24), version: 300, hlc: 5n, body: new Uint8Array([9, 8]), chain: 7n });
    expect(hexOf(golden)).toBe(`${"ab".repeat(24)}ac0200000000000000050000000000000007` + "020908");
  });

  test("ranges and holdings", () => {
    fc.assert(
      fc.property(ranges, holdings, (versions, held) => {
        const writer = new ByteWriter();
        writeRanges(writer, versions);
        writeHoldings(writer, held);
        const reader = new ByteReader(writer.done());
        expect(readRanges(reader, 100).toString()).toBe(versions.toString());
        expect(readHoldings(reader, 100, 100)).toEqual(held);
        expect(reader.isAtEnd).toBe(true);
      }),
    );
    const golden = new ByteWriter();
    writeHoldings(golden, new Map([[originOf(1), { head: 9, gaps: Ranges.from([[2, 3], [8, 8]]) }]])); // prettier-ignore
    expect(hexOf(golden)).toBe(`01${originOf(1)}0902` + "0201" + "0500");
  });
});

describe("forged bytes", () => {
  test("random, truncated or mutated bytes only ever throw MalformedError", () => {
    const valid = fc.tuple(change, holdings, value, ranges).map(([aChange, held, aValue, versions]) => {
      const writer = new ByteWriter();
      writeChange(writer, aChange);
      writeHoldings(writer, held);
      writeRanges(writer, versions);
      return writer.raw(written(aValue)).done();
    });
    const cut = fc.tuple(valid, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
      const mutated = bytes.slice();
      mutated[at % mutated.length] = byte;
      return byte % 2 === 0 ? mutated : bytes.slice(0, at % bytes.length);
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), cut), (raw) => {
        const reader = new ByteReader(raw);
        const decoders = [
          () => readChange(reader, 100),
          () => readHoldings(reader, 100, 100),
          () => readRanges(reader, 100),
          () => readValue(reader, 100),
        ];
        for (const decode of decoders) {
          try {
            decode();
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(MalformedError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["version 0", 0, 0n],
    ["a version whose successor is no safe integer", Number.MAX_SAFE_INTEGER, 0n],
    ["a stamp that would run every clock out of 64 bits", 1, HLC_MAX + 1n],
  ])("%s is no change", (_, version, hlc) => {
    const writer = new ByteWriter();
    writeChange(writer, { origin: originOf(1), version, hlc, body: new Uint8Array() });
    expect(() => readChange(new ByteReader(writer.done()), 10)).toThrow(MalformedError);
  });

  test.each([
    ["version 0", new ByteWriter().varint(1).varint(0).varint(3)],
    [
      "a head that has no successor",
      new ByteWriter()
        .varint(1)
        .varint(1)
        .varint(Number.MAX_SAFE_INTEGER - 1),
    ],
    [
      "a sum beyond 2^53",
      new ByteWriter()
        .varint(1)
        .varint(2 ** 53 - 1)
        .varint(2 ** 53 - 1),
    ],
    ["more spans than allowed", new ByteWriter().varint(3).raw(new Uint8Array(20).fill(1))],
  ])("ranges with %s are refused", (_, writer) => {
    expect(() => readRanges(new ByteReader(writer.done()), 2)).toThrow(MalformedError);
  });

  test("a gap at or above its head, or a head without a successor, is refused", () => {
    expect(() => readHoldings(readerOf(`01${originOf(1)}05` + "010500"), 9, 9)).toThrow(MalformedError);
    const top = new ByteWriter().varint(1).hex(originOf(1)).varint(Number.MAX_SAFE_INTEGER).varint(0);
    expect(() => readHoldings(new ByteReader(top.done()), 9, 9)).toThrow(MalformedError);
    expect(() => readValue(readerOf("06"), 9)).toThrow(MalformedError);
  });
});

describe("holdings", () => {
  test("holding more is the union of what was held, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(ranges, { maxLength: 6 }), fc.integer({ min: 1, max: 220 }), (steps, version) => {
        let held: Holding = NO_HOLDING;
        let model = Ranges.empty;
        for (const step of steps) {
          held = holdAlso(held, step);
          model = model.union(step);
        }
        expect(heldVersions(held).toString()).toBe(model.toString());
        expect(held.head).toBe(model.spans.at(-1)?.[1] ?? 0);
        expect(holds(held, version)).toBe(model.has(version));
        expect((held.gaps.spans.at(-1)?.[1] ?? 0) <= held.head).toBe(true);
      }),
    );
  });

  test("the fingerprint does not depend on order and does on every part", () => {
    const [a, b] = [originOf(1), originOf(2)];
    const one: Holding = { head: 4, gaps: Ranges.empty };
    const two: Holding = { head: 4, gaps: Ranges.of(2, 2) };
    const hash = (...entries: [OriginId, Holding][]): string => holdingsHash(new Map(entries));
    expect(hash([a, one], [b, two])).toBe(hash([b, two], [a, one]));
    const others = [hash(), hash([a, one]), hash([a, two]), hash([a, two], [b, one]), hash([a, one], [b, two])];
    expect(new Set(others).size).toBe(5);
    expect(others.every((it) => /^[0-9a-f]{16}$/.test(it))).toBe(true);
  });
});

test("a value as JSON readers take it never loses an integer, nor an infinity", () => {
  const values = [null, 5n, 2n ** 53n, -1.5, "x", new Uint8Array([1, 2]), Infinity, -Infinity];
  expect(JSON.parse(JSON.stringify(values.map(valueToJson)))).toEqual([
    null,
    5,
    "9007199254740992",
    -1.5,
    "x",
    [1, 2],
    "9e999",
    "-9e999",
  ]);
});

function written(it: SqlValue): Uint8Array {
  const writer = new ByteWriter();
  writeValue(writer, it);
  return writer.done();
}
