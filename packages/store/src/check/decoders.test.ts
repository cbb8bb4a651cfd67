/** Bytes from outside, broken in every way: decoders throw what they document, and a store puts the change aside whole. */
import { ByteReader, ByteWriter, type Change, MalformedError, must, Ranges, readChange, readHeads, readHoldings, readRanges, readValue, Rng, writeChange, writeHeads, writeHoldings, writeRanges, writeValue } from "@patina/base"; // prettier-ignore
import { mutateBytes, randomBytes, weightMax, weightOf } from "@patina/base/testing";
import { afterAll, describe, expect, test } from "vitest";
import { tableOf } from "../database/layout.js";
import { decodeBody, decodeKey, decodeState, encodeKey, encodeState } from "../rows/row-codec.js";
import { parseSchema } from "../schema/schema.js";
import type { SqliteStore } from "../sqlite-store.js";
import { Book } from "../testing/book.js";
import { openStore, Scratch, scrubbed } from "../testing/scratch-store.js";
import { Twin } from "../testing/twin.js";

const SCHEMA = `
CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 7 CHECK (n < 1000), v TEXT, b BLOB, r REAL);
CREATE TABLE u (a INTEGER NOT NULL, b TEXT NOT NULL, c NUMERIC, PRIMARY KEY (a, b)) WITHOUT ROWID;`;
const T = tableOf(must(parseSchema(SCHEMA).tables[0], "a table"));
const WALL_MS = 1_790_000_000_000;
const CASES = 15_000 * Number(process.env["PATINA_PROOF"] ?? 1);

const scratch = new Scratch("decoders");
afterAll(() => scratch.remove());

/** Changes of every kind, as a store makes them. */
function validChanges(store: SqliteStore): Change[] {
  const put = (table: string, values: object, more: object = {}) => ({ table, values: { ...values }, ...more });
  const writes = [
    [put("t", { id: "a", n: 5n, v: "text", b: new Uint8Array([1, 2, 3]), r: 1.5 }), put("u", { a: 1n, b: "x", c: 2n })],
    [put("t", { id: "b" }), put("t", { id: "c", v: "é\u{1f600}" }), put("u", { a: -70_000n, b: "" })],
    [put("t", { id: "a" }, { deleted: true }), put("u", { a: 1n, b: "x", c: 1n << 40n })],
    [put("t", { id: "b", v: "stamped" }, { stamp: { epoch: 3, hlc: BigInt(WALL_MS) << 16n } })],
  ];
  return writes.flatMap((rows) => {
    const [outcome] = store.commit([{ kind: "rows", rows }], WALL_MS);
    return outcome?.ok === true && outcome.change !== undefined ? [outcome.change] : [];
  });
}

const source = openStore(scratch.newPath(), 1, SCHEMA);
const changes = validChanges(source);
source.close();

const written = (write: (writer: ByteWriter) => unknown): Uint8Array => {
  const writer = new ByteWriter();
  write(writer);
  return writer.done();
};
const holdings = new Map([
  ["0a".repeat(24), { head: 90, gaps: Ranges.from([[2, 3], [8, 8]]) }], // prettier-ignore
  ["0b".repeat(24), { head: 300, gaps: Ranges.empty }],
]);
const values = ["x", 5n, 1.5, null, new Uint8Array([1, 2]), 1n << 50n] as const;

interface Decoder {
  readonly name: string;
  readonly valid: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
}

const BYTES_MAX = 1000;
const DECODERS: readonly Decoder[] = [
  { name: "decodeBody", valid: changes.map(({ body }) => body), decode: (bytes) => decodeBody(bytes, 5n, 100) },
  {
    name: "decodeKey",
    valid: [encodeKey(values), encodeKey(["a", 1n])],
    decode: (bytes) => decodeKey(bytes, BYTES_MAX),
  },
  { name: "decodeState", valid: [encodeState(T, [new Uint8Array(9), 8n, 2.5, "v"])], decode: (bytes) => decodeState(T, bytes, BYTES_MAX) }, // prettier-ignore
  { name: "readChange", valid: changes.map((it) => written((writer) => writeChange(writer, it))), decode: (bytes) => readChange(new ByteReader(bytes), BYTES_MAX) }, // prettier-ignore
  { name: "readHoldings", valid: [written((writer) => writeHoldings(writer, holdings))], decode: (bytes) => [...readHoldings(new ByteReader(bytes), 10, 10)].map(([of, { gaps }]) => [of, gaps.spans]) }, // prettier-ignore
  { name: "readHeads", valid: [written((writer) => writeHeads(writer, new Map([["0a".repeat(24), 9]])))], decode: (bytes) => readHeads(new ByteReader(bytes), 10) }, // prettier-ignore
  { name: "readRanges", valid: [written((writer) => writeRanges(writer, Ranges.from([[1, 5], [9, 400]])))], decode: (bytes) => readRanges(new ByteReader(bytes), 10).spans }, // prettier-ignore
  { name: "readValue", valid: values.map((value) => written((writer) => writeValue(writer, value))), decode: (bytes) => readValue(new ByteReader(bytes), BYTES_MAX) }, // prettier-ignore
];

describe(`${CASES} broken inputs`, () => {
  test.each(DECODERS)(
    "$name only ever throws what it documents, and keeps no more than it was given",
    { timeout: 60_000 },
    ({ valid, decode }) => {
      const rng = new Rng(11);
      let refused = 0;
      for (let i = 0; i < CASES; i++) {
        const bytes = i % 4 === 0 ? randomBytes(60, rng) : mutateBytes(must(rng.pick(valid), "valid bytes"), rng);
        try {
          const weight = weightOf(decode(bytes));
          if (weight > weightMax(bytes)) throw new Error(`${bytes.length} bytes became ${weight}`);
        } catch (thrown) {
          if (!(thrown instanceof MalformedError)) throw thrown;
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(CASES / 10);
      for (const bytes of valid) decode(bytes);
    },
  );

  test(
    "a store applies what can be read, to the letter, and puts the rest aside with nothing else changed",
    { timeout: 120_000 },
    () => {
      const path = scratch.newPath();
      const store = openStore(path, 2, SCHEMA);
      const [book, twin, rng] = [new Book(), new Twin(SCHEMA), new Rng(12)];
      const counts = { applied: 0, quarantined: 0 };
      for (let version = 1; version <= CASES / 5; version++) {
        const valid = must(rng.pick(changes), "a change");
        const hlc = valid.hlc + BigInt(version);
        const body = rng.chance(0.1) ? randomBytes(40, rng) : mutateBytes(valid.body, rng);
        const change = { ...valid, version, hlc, body };
        const before = [twin.rowsText((sql) => store.read(sql)), store.digest()];
        const { quarantined, applied } = store.apply([change]);
        expect([applied, store.holdings().get(valid.origin)]).toEqual([1, { head: version, gaps: Ranges.empty }]);
        if (quarantined.length > 0) {
          counts.quarantined++;
          expect(quarantined).toEqual([{ change, reason: expect.any(String) }]);
          expect([twin.rowsText((sql) => store.read(sql)), store.digest()]).toEqual(before);
          expect(store.comparableDigest()).toBeUndefined();
        } else {
          counts.applied++;
          for (const row of book.apply(change)) if (twin.has(row)) twin.set(row);
          expect(twin.rowsText((sql) => store.read(sql))).toBe(twin.rowsText());
        }
      }
      expect(store.quarantinedCount()).toBe(counts.quarantined);
      expect(Math.min(counts.applied, counts.quarantined)).toBeGreaterThan(50);
      store.close();
      expect(scrubbed(path)).toBe("");
      process.stdout.write(`decoders: ${JSON.stringify(counts)}\n`);
    },
  );
});

/** States that say the same as another in other bytes: two nodes would keep one row under two hashes. */
test.each([
  ["bytes after the last column", (state: ByteWriter) => writeValue(state.varint(1).text("v"), "x") ?? state.u8(0)],
  ["a count in more bytes than it needs", (state: ByteWriter) => writeValue(state.u8(0x81).u8(0).text("v"), "x")],
  ["a small integer in eight bytes", (state: ByteWriter) => state.varint(1).text("n").u8(2).i64(5n)],
  ["text that is not UTF-8", (state: ByteWriter) => state.varint(1).text("v").u8(4).varint(1).u8(0xff)],
])("a state with %s is put aside", (_what, write) => {
  expect(applied(write)).toEqual({ quarantined: 1, rows: [] });
});

/** A member whose schema gives the column another default or type may write these: they are kept to the bit. */
test.each([
  ["a column at its default", (state: ByteWriter) => writeValue(state.varint(1).text("n"), 7n)],
  ["a text in an integer column", (state: ByteWriter) => writeValue(state.varint(1).text("n"), "5")],
  ["a column that is not there", (state: ByteWriter) => writeValue(state.varint(1).text("zone"), "z")],
])("a state with %s is kept as it came, out of sight", (_what, write) => {
  expect(applied(write)).toEqual({ quarantined: 0, rows: [["a", 7n]] });
});

function applied(write: (state: ByteWriter) => unknown): { quarantined: number; rows: unknown } {
  const path = scratch.newPath();
  const store = openStore(path, 2, SCHEMA);
  const state = written(write);
  const body = written((writer) =>
    writer
      .varint(1)
      .u8(0)
      .varint(0)
      .text("t")
      .bytes(encodeKey(["a"]))
      .bytes(state),
  );
  const change = { origin: "0a".repeat(24), version: 1, hlc: BigInt(WALL_MS) << 16n, body };
  const { quarantined } = store.apply([change]);
  const again = store.extract(change.origin, Ranges.of(1, 1), 1000).changes;
  expect(again.map((it) => ({ ...it, body: new Uint8Array(it.body) }))).toEqual([change]);
  const rows = store.read("SELECT id, n FROM t");
  store.close();
  expect(scrubbed(path)).toBe("");
  return { quarantined: quarantined.length, rows };
}
