/** Bytes come back as they were written, in exactly the documented form; and no bytes make a reader do more than refuse. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, MalformedError } from "./bytes.js";
import { utf8Length, utf8Read, utf8Write } from "./utf8.js";

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

describe("what was written is read", () => {
  test("every kind of field, one after the other, with nothing left over", () => {
    const fields = fc.record({
      u8: fc.nat(255),
      u32: fc.nat(0xffff_ffff),
      u64: fc.bigInt(0n, (1n << 64n) - 1n),
      i64: fc.bigInt(-(1n << 63n), (1n << 63n) - 1n),
      f64: fc.double(),
      varint: fc.maxSafeNat(),
      bytes: fc.uint8Array({ maxLength: 400 }),
      text: fc.string({ unit: "grapheme", maxLength: 60 }),
      hex: fc.uint8Array({ maxLength: 8 }).map(hexOf),
    });
    fc.assert(
      fc.property(fields, (it) => {
        const writer = new ByteWriter(1).u8(it.u8).u32(it.u32).u64(it.u64).i64(it.i64).f64(it.f64).varint(it.varint);
        const bytes = writer.bytes(it.bytes).text(it.text).hex(it.hex).raw(it.bytes).done();
        expect(bytes.length).toBe(writer.length);
        const reader = new ByteReader(bytes);
        expect([reader.u8(), reader.u32(), reader.u64(), reader.i64()]).toEqual([it.u8, it.u32, it.u64, it.i64]);
        expect([reader.f64(), reader.varint()]).toEqual([it.f64, it.varint]);
        expect(reader.bytes(400)).toEqual(it.bytes);
        expect(reader.text(4000)).toBe(it.text);
        expect(reader.hex(it.hex.length)).toBe(it.hex);
        expect(reader.isAtEnd).toBe(it.bytes.length === 0);
        expect(reader.raw(it.bytes.length)).toEqual(it.bytes);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [300, "ac02"],
    [2 ** 32, "8080808010"],
    [Number.MAX_SAFE_INTEGER, "ffffffffffffff0f"],
  ])("the varint of %d is %s", (value, hex) => {
    expect(hexOf(new ByteWriter().varint(value).done())).toBe(hex);
    expect(new ByteReader(bytesOf(hex)).varint()).toBe(value);
  });

  test("numbers of fixed width are big-endian, text is a length and UTF-8", () => {
    const bytes = new ByteWriter().u8(1).u32(2).u64(3n).i64(-1n).f64(1).text("é\u{1f600}").hex("00ff").done();
    expect(hexOf(bytes)).toBe("01000000020000000000000003ffffffffffffffff3ff000000000000006c3a9f09f988000ff");
  });

  test("a writer that starts over keeps nothing of before, and what was done is a copy", () => {
    const writer = new ByteWriter(2).text("something long enough to grow");
    const first = writer.done();
    writer.reset().u8(7);
    expect([...writer.done()]).toEqual([7]);
    expect(first[0]).toBe(29);
  });

  test.each([-1, 1.5, 2 ** 53, Number.NaN])("%d is no varint, which is a bug of ours", (value) => {
    expect(() => new ByteWriter().varint(value)).toThrow("invariant broken");
  });
});

describe("bytes nobody wrote", () => {
  const reads: ((reader: ByteReader) => unknown)[] = [
    (it) => it.u8(),
    (it) => it.u32(),
    (it) => it.u64(),
    (it) => it.i64(),
    (it) => it.f64(),
    (it) => it.varint(),
    (it) => it.raw(3),
    (it) => it.bytes(8),
    (it) => it.text(8),
    (it) => it.hex(6),
    (it) => it.count(5),
  ];

  test("any reads of any bytes end in a value or MalformedError, and never read past the end", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.array(fc.nat(reads.length - 1), { maxLength: 20 }),
        (raw, ops) => {
          const reader = new ByteReader(raw);
          try {
            for (const op of ops) reads[op]?.(reader);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(MalformedError);
          }
          expect(reader.remaining).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ["an integer beyond 2^53", "ffffffffffffff1f"],
    ["an integer of more than 8 bytes", "808080808080808001"],
    ["an unfinished integer", "80"],
  ])("%s is malformed", (_, hex) => {
    expect(() => new ByteReader(bytesOf(hex)).varint()).toThrow(MalformedError);
  });

  test("a length or count beyond its limit, or beyond what is there, is malformed before anything is allocated", () => {
    expect(() => new ByteReader(bytesOf("05aabbccddee")).bytes(4)).toThrow(MalformedError);
    expect(() => new ByteReader(bytesOf("ffffffffffffff0f")).bytes(2 ** 53)).toThrow(MalformedError);
    expect(() => new ByteReader(bytesOf("03aabb")).count(100)).toThrow(MalformedError);
    expect(() => new ByteReader(bytesOf("03aabbcc")).count(2)).toThrow(MalformedError);
    expect(new ByteReader(bytesOf("03aabbcc")).count(3)).toBe(3);
  });
});

describe("UTF-8 without a platform", () => {
  const anyText = fc.array(fc.nat(0xffff), { maxLength: 30 }).map((units) => String.fromCharCode(...units));

  test("encodes any text, lone surrogates included, as the platform does", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = new Uint8Array(Buffer.from(text, "utf8"));
        const bytes = new Uint8Array(utf8Length(text));
        expect(utf8Write(text, bytes, 0)).toBe(expected.length);
        expect(bytes).toEqual(expected);
      }),
    );
  });

  test("decodes valid bytes as the platform does, and any bytes to text that is valid", () => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    fc.assert(
      fc.property(anyText, fc.uint8Array({ maxLength: 30 }), (text, raw) => {
        const valid = new Uint8Array(Buffer.from(text, "utf8"));
        expect(utf8Read(valid, 0, valid.length)).toBe(decoder.decode(valid));
        expect(utf8Read(raw, 0, raw.length)).not.toMatch(/\p{Surrogate}/u);
        const isValid = Buffer.from(decoder.decode(raw)).equals(raw);
        const reads = utf8Read(raw, 0, raw.length);
        expect(Buffer.from(reads).equals(raw)).toBe(isValid); // Invalid bytes never read as valid text would.
      }),
      { numRuns: 1000 },
    );
  });

  test.each(["c080", "e08080", "eda080", "f0808080", "f4908080", "f88080", "ff8080", "80", "c3", "e282", "f09f98"])(
    "%s is replaced, not taken for a character",
    (hex) => {
      expect(utf8Read(bytesOf(hex), 0, hex.length / 2)).toContain("\ufffd");
      expect(utf8Read(bytesOf(hex), 0, hex.length / 2)).toMatch(/^\ufffd+$/);
    },
  );
});
