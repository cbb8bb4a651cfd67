/** Rows as bytes and as sums: they come back as they were, defaults cost nothing, and the digest adds up like integers. */
import { type Change, MalformedError, must, type SqlValue } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addHash, BUCKETS, sumText } from "../check/digest.js";
import { tableOf } from "../database/layout.js";
import { RecentChanges } from "../log/recent.js";
import { decodeBody, decodeKey, decodeState, encodeBody, encodeKey, encodeState, type RowChange, rowHash } from "./row-codec.js"; // prettier-ignore
import { parseSchema } from "../schema/schema.js";

const table = (sql: string): ReturnType<typeof tableOf> => tableOf(must(parseSchema(sql).tables[0], "a table"));
const T = table("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, b INTEGER NOT NULL DEFAULT 7, a TEXT, c BLOB, d REAL DEFAULT 0)"); // prettier-ignore
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constantFrom<SqlValue>(null, 7n, 0, -0, 0n, ""),
  fc.bigInt(-(1n << 63n), (1n << 63n) - 1n),
  fc.double(),
  fc.string({ unit: "grapheme" }),
  fc.uint8Array({ maxLength: 20 }),
);
const bytes = fc.uint8Array({ maxLength: 20 });
const row: fc.Arbitrary<RowChange> = fc
  .record({
    table: fc.string({ unit: "grapheme", maxLength: 10 }),
    key: bytes,
    epoch: fc.nat(),
    hlc: fc.oneof(fc.constant(5n), fc.bigInt(0n, 1n << 61n)),
    state: fc.option(bytes, { nil: undefined }),
    app: fc.option(fc.string({ unit: "grapheme", maxLength: 5 }), { nil: undefined }),
    owner: fc.option(fc.string({ unit: "grapheme", maxLength: 5 }), { nil: undefined }),
    cut: fc.option(fc.constantFrom({ hlc: 1n, origin: "0c".repeat(24), version: 1 }, { hlc: 1n << 61n, origin: "ff".repeat(24), version: 2 ** 50 }), { nil: undefined }), // prettier-ignore
  })
  .map((it) => (it.state === undefined ? it : { ...it, app: undefined, owner: undefined }));

describe("states and keys", () => {
  test("come back as they were, whatever their types", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 4, maxLength: 4 }), (values) => {
        const read = decodeState(T, encodeState(T, values), 1000);
        expect(read).toEqual({ values, extras: [] });
        expect(decodeKey(encodeKey(values), 1000)).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });

  test("leave out what is at its default, in the order of names, so that an added column changes no byte", () => {
    const wider = table("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, aa TEXT DEFAULT 'x', d REAL DEFAULT 0, b INTEGER NOT NULL DEFAULT 7, a TEXT, c BLOB)"); // prettier-ignore
    expect(T.values.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
    expect(hexOf(encodeState(T, [null, 7n, null, 0]))).toBe("00");
    expect(hexOf(encodeState(T, ["z", 8n, null, 0]))).toBe("020161" + "04017a" + "0162" + "0110");
    expect(hexOf(encodeState(wider, ["z", "x", 8n, null, 0]))).toBe(hexOf(encodeState(T, ["z", 8n, null, 0])));
    expect(encodeState(T, [null, 7, null, 0]).length).toBeGreaterThan(1); // 7.0 is not 7.
  });

  test("leave out bytes that are the default, too", () => {
    const before = table("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT)");
    const after = table("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, c BLOB NOT NULL DEFAULT x'0102')");
    const bytesOf = encodeState(after, ["x", Buffer.from([1, 2])]);
    expect(hexOf(bytesOf)).toBe(hexOf(encodeState(before, ["x"])));
    expect(decodeState(after, bytesOf, 100).values).toEqual(["x", Buffer.from([1, 2])]);
  });

  test("what this schema has no column for, or leaves out as its default, is kept beside and goes back in its place", () => {
    const wider = table(
      "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, aa TEXT, b INTEGER NOT NULL DEFAULT 8, zone TEXT)",
    );
    const state = encodeState(wider, ["x", 7n, "z"]);
    const { values, extras } = decodeState(T, state, 100);
    expect(values).toEqual([null, 7n, null, 0]);
    expect(extras).toEqual([["aa", "x"], ["b", 7n], ["zone", "z"]]); // prettier-ignore
    expect(hexOf(encodeState(T, values, extras))).toBe(hexOf(state));
    expect(decodeState(wider, encodeState(T, values, extras), 100)).toEqual({ values: ["x", 7n, "z"], extras: [] });
  });

  test("a state has one form: columns in order, each once", () => {
    const twice = Buffer.from(hexOf(encodeState(T, ["z", 8n, null, 0])).replace("0162", "0161"), "hex");
    const turned = Buffer.from("02" + "017a00" + "016100", "hex");
    for (const state of [twice, turned]) expect(() => decodeState(T, state, 100)).toThrow(MalformedError);
  });
});

describe("bodies", () => {
  test("come back as they were, tombstones and own clocks included", () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 6 }), (rows) => {
        expect(decodeBody(encodeBody(rows, 5n), 5n, 6)).toEqual(rows);
      }),
      { numRuns: 300 },
    );
  });

  test("have the documented bytes", () => {
    const [key, state] = [new Uint8Array([1]), new Uint8Array([2, 3])];
    const rows: RowChange[] = [
      { table: "t", key, epoch: 0, hlc: 5n, state },
      { table: "t", key, epoch: 300, hlc: 6n, state: undefined, app: "w" },
      { table: "t", key, epoch: 1, hlc: 5n, state, cut: { hlc: 4n, origin: "0c".repeat(24), version: 9 } },
      { table: "t", key, epoch: 1, hlc: 5n, state: undefined, owner: "w" },
    ];
    const plain = "0000" + "0174" + "0101" + "020203";
    const tombstone = "07ac02" + "0000000000000006" + "0174" + "0101" + "0177";
    const cut = "1001" + "0174" + "0101" + "020203" + "0000000000000004" + "0c".repeat(24) + "09";
    const owned = "0901" + "0174" + "0101" + "0177";
    expect(hexOf(encodeBody(rows, 5n))).toBe("04" + plain + tombstone + cut + owned);
  });

  test("that are broken anywhere only ever throw MalformedError", () => {
    const broken = fc.tuple(fc.array(row, { maxLength: 4 }), fc.nat(), fc.nat(255), fc.boolean());
    fc.assert(
      fc.property(fc.oneof(broken, bytes), (it) => {
        let raw = it instanceof Uint8Array ? it : encodeBody(it[0], 5n);
        if (!(it instanceof Uint8Array)) {
          const at = it[1] % raw.length;
          if (it[3]) raw = raw.slice(0, at);
          else raw[at] = it[2];
        }
        for (const decode of [() => decodeBody(raw, 5n, 4), () => decodeKey(raw, 10), () => decodeState(T, raw, 10)]) {
          try {
            decode();
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(MalformedError);
          }
        }
      }),
      { numRuns: 1000 },
    );
    expect(() => decodeBody(encodeBody([], 0n), 0n, 0)).not.toThrow();
    const far: RowChange = { table: "t", key: new Uint8Array(), epoch: 0, hlc: 1n << 63n, state: undefined };
    expect(() => decodeBody(encodeBody([far], 0n), 0n, 9)).toThrow(MalformedError);
    expect(() => decodeBody(encodeBody([far, far], 0n), 0n, 1)).toThrow(MalformedError);
  });

  test("a row's hash depends on every part of it, and parts cannot run into each other", () => {
    const key = new Uint8Array([1]);
    const stamp = { epoch: 1, hlc: 2n, origin: "0a".repeat(24), version: 3 };
    const state = new Uint8Array([4]);
    const hashes = [
      rowHash("t", key, stamp, state),
      rowHash("u", key, stamp, state),
      rowHash("t", new Uint8Array([1, 1]), stamp, state),
      rowHash("t", key, { ...stamp, epoch: 2 }, state),
      rowHash("t", key, { ...stamp, hlc: 3n }, state),
      rowHash("t", key, { ...stamp, origin: "0b".repeat(24) }, state),
      rowHash("t", key, { ...stamp, version: 4 }, state),
      rowHash("t", key, stamp, new Uint8Array([4, 4])),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(rowHash("t", key, stamp, state)).toBe(hashes[0]);
  });
});

describe("the digest's arithmetic", () => {
  const hash = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);

  test("sums and differences are those of 64-bit integers, whatever the order", () => {
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 20 }), (hashes) => {
        const sums = new BigUint64Array(BUCKETS);
        const key = encodeKey(["k"]);
        for (const it of hashes) addHash(sums, key, it);
        const model = BigInt.asUintN(64, hashes.reduce((total, it) => total + it, 0n)); // prettier-ignore
        expect(sums.filter((sum) => sum !== 0n)).toEqual(model === 0n ? new BigUint64Array() : new BigUint64Array([model])); // prettier-ignore
        for (const it of hashes.toReversed()) addHash(sums, key, -it);
        expect(sums.every((sum) => sum === 0n)).toBe(true);
        expect(BigInt(`0x${sumText(model)}`)).toBe(model);
      }),
      { numRuns: 300 },
    );
  });

  test("keys spread over the buckets", () => {
    const sums = new BigUint64Array(BUCKETS);
    for (let i = 0; i < 256 * 50; i++) addHash(sums, encodeKey([`machine-${i}`]), 1n);
    expect(Math.max(...Array.from(sums, Number))).toBeLessThan(120);
    expect(Math.min(...Array.from(sums, Number))).toBeGreaterThan(10);
  });
});

describe("recent changes", () => {
  const change = (version: number, body = 100): Change => {
    return { origin: "o", version, hlc: 1n, body: new Uint8Array(body) };
  };

  test("the oldest go first, and one that comes again costs nothing and changes nothing", () => {
    const recent = new RecentChanges(1000);
    for (let version = 1; version <= 5; version++) {
      for (let again = 0; again < 10; again++) recent.add(change(version, again === 0 ? 100 : 50));
    }
    expect([1, 2, 3, 4, 5].map((version) => recent.get("o", version)?.body.length)).toEqual([100, 100, 100, 100, 100]);
    for (let version = 6; version <= 50; version++) recent.add(change(version));
    expect([recent.get("o", 1), recent.get("o", 50)?.version]).toEqual([undefined, 50]);
  });

  test("one larger than all the room is not kept", () => {
    const recent = new RecentChanges(1000);
    recent.add(change(1, 5000));
    expect(recent.get("o", 1)).toBeUndefined();
    recent.add(change(2));
    expect(recent.get("o", 2)?.version).toBe(2);
  });
});
