/** Frames survive the wire, keep their documented bytes, and bytes that are no frame only ever throw MalformedError. */
import { ByteWriter, type Change, HLC_MAX, MalformedError, type Range, Ranges } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultGossipConfig as roomy, testGossipConfig as config } from "./config.js";
import { decodeFrame, encodeFrame, type Frame } from "./frame.js";

const hex = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((it) => Buffer.from(it).toString("hex"));
const ranges = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 10_000 }), fc.nat(9)), { maxLength: 6 })
  .map((spans) => Ranges.from(spans.map(([low, more]): Range => [low, low + more])));
const originRanges = fc.array(fc.record({ origin: hex(24), versions: ranges }), { maxLength: 4 });
const change: fc.Arbitrary<Change> = fc.record({
  origin: hex(24),
  version: fc.integer({ min: 1, max: 2 ** 50 }),
  hlc: fc.bigInt(0n, HLC_MAX),
  body: fc.uint8Array({ maxLength: 30 }),
});
const holding = ranges.map((gaps) => ({ head: (gaps.spans.at(-1)?.[1] ?? 0) + 1, gaps }));
const [isReply, isDurable] = [fc.boolean(), fc.boolean()];

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    kind: fc.constant("hello" as const),
    protocol: fc.record({ oldest: fc.nat(300), newest: fc.nat(300) }),
    cluster: fc.record({ name: fc.string({ unit: "grapheme", maxLength: 20 }), generation: fc.maxSafeNat() }),
    node: hex(16),
  }),
  fc.record({ kind: fc.constant("changes" as const), changes: fc.array(change, { maxLength: 4 }) }),
  fc.record({ kind: fc.constant("sum" as const), holdingsHash: hex(8), digest: hex(32), isReply, isDurable }),
  fc.record({
    kind: fc.constant("holdings" as const),
    holdings: fc.array(fc.tuple(hex(24), holding), { maxLength: 4 }).map((entries) => new Map(entries)),
    isReply,
    isDurable,
  }),
  fc.record({ kind: fc.constant("want" as const), wants: originRanges }),
  fc.record({ kind: fc.constant("empty" as const), empties: originRanges }),
  fc.record({
    kind: fc.constant("repairing" as const),
    basis: originRanges.map((all) => new Map(all.map((it) => [it.origin, it.versions.size]))),
  }),
  fc.record({ kind: fc.constant("repaired" as const), isComplete: fc.boolean() }),
);

describe("frames", () => {
  test("every frame comes back as it was sent", () => {
    fc.assert(
      fc.property(frame, (it) => {
        expect(decodeFrame(encodeFrame(it), roomy)).toEqual(it);
      }),
      { numRuns: 500 },
    );
  });

  const origin = "0a".repeat(24);
  const versions = Ranges.from([[2, 3], [9, 9]]); // prettier-ignore
  const golden: [Frame, string][] = [
    [{ kind: "hello", protocol: { oldest: 1, newest: 2 }, cluster: { name: "iad", generation: 2 }, node: "0b".repeat(16) }, `00010203696164${"02"}${"0b".repeat(16)}`], // prettier-ignore
    [{ kind: "changes", changes: [{ origin, version: 1, hlc: 2n, body: new Uint8Array([3]) }] }, `0101${origin}01000000000000000200000000000000000103`], // prettier-ignore
    [{ kind: "sum", holdingsHash: "0c".repeat(8), digest: "0d".repeat(32), isReply: true, isDurable: false }, `02${"0c".repeat(8)}${"0d".repeat(32)}01`], // prettier-ignore
    [{ kind: "holdings", holdings: new Map([[origin, { head: 10, gaps: versions }]]), isReply: false, isDurable: true }, `0301${origin}0a020201060002`], // prettier-ignore
    [{ kind: "want", wants: [{ origin, versions }] }, `0401${origin}0202010600`],
    [{ kind: "empty", empties: [] }, "0500"],
    [{ kind: "repairing", basis: new Map() }, "0700"],
    [{ kind: "repaired", isComplete: true }, "0601"],
    [{ kind: "relay", interval: { low: 0, high: 2 ** 32 }, changes: [] }, "080000" + "0000ffffffff00"],
    [{ kind: "heads", heads: new Map([[origin, 7]]) }, `0901${origin}07`],
    [{ kind: "snapshot-want", after: new Uint8Array([1, 2]) }, "0a020102"],
    [
      {
        kind: "snapshot",
        holdings: new Map(),
        basis: new Map(),
        changes: [],
        after: new Uint8Array([3]),
        next: new Uint8Array(),
      },
      "0b000000010300",
    ],
  ];

  test.each(golden.map(([it, bytes]) => ({ kind: it.kind, it, bytes })))(
    "the bytes of $kind are what peers of another release read",
    ({ it, bytes }) => {
      expect(Buffer.from(encodeFrame(it)).toString("hex")).toBe(bytes);
    },
  );
});

describe("bytes that are no frame", () => {
  const refuses = (bytes: Uint8Array): void => expect(() => decodeFrame(bytes, config)).toThrow(MalformedError);

  test("random, truncated, mutated and lengthened bytes throw MalformedError or are a frame", () => {
    const broken = fc.tuple(frame, fc.nat(), fc.nat(255), fc.nat(2)).map(([it, at, byte, how]) => {
      const bytes = encodeFrame(it);
      if (how === 0) return bytes.slice(0, at % bytes.length);
      if (how === 1) return new Uint8Array([...bytes, byte]);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(broken, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        try {
          decodeFrame(bytes, config);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("every truncation, and any byte too many, is refused", () => {
    const it: Frame = { kind: "want", wants: [{ origin: "0a".repeat(24), versions: Ranges.of(5, 900) }] };
    const bytes = encodeFrame(it);
    for (let length = 0; length < bytes.length; length++) refuses(bytes.slice(0, length));
    refuses(new Uint8Array([...bytes, 0]));
  });

  test("unknown types, and counts beyond the limits, are refused", () => {
    refuses(new Uint8Array([13]));
    refuses(new Uint8Array([127]));
    expect(decodeFrame(new Uint8Array([128, 1, 2]), config)).toEqual({ kind: "unknown" }); // Optional: it may be ignored.
    refuses(new ByteWriter().u8(1).varint(2 ** 40).done()); // prettier-ignore
    const tight = { ...config, originsMax: 1, spansMax: 1 };
    const many = Ranges.from([[1, 1], [3, 3]]); // prettier-ignore
    for (const kind of ["want", "empty"] as const) {
      const two = [{ origin: "0a".repeat(24), versions: Ranges.of(1, 1) }, { origin: "0b".repeat(24), versions: Ranges.of(1, 1) }]; // prettier-ignore
      const frames: Frame[] = [two, [{ origin: "0a".repeat(24), versions: many }]].map((items) =>
        kind === "want" ? { kind, wants: items } : { kind, empties: items },
      );
      for (const it of frames) expect(() => decodeFrame(encodeFrame(it), tight)).toThrow(MalformedError);
    }
  });

  test("a change of version 0 is refused: it could never be held and never be asked for", () => {
    const change = { origin: "0a".repeat(24), version: 0, hlc: 1n, body: new Uint8Array() };
    refuses(encodeFrame({ kind: "changes", changes: [change] }));
  });
});
