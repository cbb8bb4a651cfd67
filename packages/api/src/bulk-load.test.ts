/** A stream of objects, cut anywhere: what is in, what is not, and which line is to blame. */
import { AppError, asAppError, type ErrorCode, type RowWrite, type Write, type WriteOutcome } from "@patina/base";
import fc from "fast-check";
import pLimit from "p-limit";
import { describe, expect, test } from "vitest";
import { BulkLoad, type BulkLimits, defaultBulkLimits } from "./bulk-load.js";

const LIMITS: BulkLimits = {
  ...defaultBulkLimits,
  sliceRowsMax: 4,
  sliceBytesMax: 200,
  lineBytesMax: 300,
  retriesMax: 3,
  retryAfterMs: 1,
};

/** A store of its own kind: it refuses objects that say so, and keeps the sizes of its transactions. */
class Rows {
  readonly ids: unknown[] = [];
  readonly slices: number[] = [];
  readonly failures: ErrorCode[] = [];
  #version = 0;

  write = async (write: Write): Promise<WriteOutcome> => {
    const failure = this.failures.shift();
    if (failure !== undefined) return { ok: false, error: new AppError(failure, "it failed") };
    const rows = write.kind === "rows" ? write.rows : [];
    const bad = rows.find(({ values }) => values["bad"] !== undefined);
    if (bad !== undefined)
      return { ok: false, error: new AppError("sql-error", "CHECK constraint failed: bad IN ('x')") };
    this.slices.push(rows.length);
    this.ids.push(...rows.map(({ values }) => values["id"]));
    const changed = rows.map(({ table }: RowWrite) => {
      return { table, key: [], kind: "upsert", appBefore: undefined, app: undefined } as const;
    });
    const version = ++this.#version;
    return {
      ok: true,
      rowsAffected: [],
      rows: changed,
      change: { origin: "o", version, hlc: 1n, body: Buffer.alloc(0) },
    };
  };
}

function loadInto(rows: Rows): BulkLoad {
  return new BulkLoad({ table: "t", row: {}, write: rows.write, turns: pLimit(1), limits: LIMITS });
}

async function run(rows: Rows, text: string | Buffer, cuts: readonly number[] = []) {
  const load = loadInto(rows);
  const bytes = Buffer.from(text as string);
  const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
  const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
  const error = await load.run(chunked(chunks)).then(
    () => undefined,
    (thrown: unknown) => asAppError(thrown),
  );
  return { error, ...load.progress };
}

async function* chunked(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks;
}

const line = (id: number, more: object = {}): string => JSON.stringify({ id, ...more });

describe("a load", () => {
  test("takes every object once and in order, in slices, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 8 }),
        fc.nat(11),
        async (cuts, count) => {
          const rows = new Rows();
          const ids = Array.from({ length: count }, (_, i) => BigInt(i));
          const text = ids.map((id) => `${line(Number(id), { pad: "ü".repeat(9) })}\r\n`).join("");
          const done = await run(rows, text, cuts);
          expect(done).toMatchObject({ error: undefined, committedLines: count, rowsRead: count, rowsChanged: count });
          expect(rows.ids).toEqual(ids);
          expect(Math.max(0, ...rows.slices)).toBeLessThanOrEqual(LIMITS.sliceRowsMax);
        },
      ),
    );
  });

  test("ends a slice by bytes as well as by rows, and counts blank lines and a last line without its end", async () => {
    const rows = new Rows();
    const done = await run(rows, `\n${line(1, { pad: "x".repeat(190) })}\n${line(2)}\n\n${line(3)}`);
    expect([rows.slices, done.committedLines, done.rowsRead]).toEqual([[1, 2], 5, 3]);
  });

  test("blames the first bad line wherever it is, with every good line before it in and none after", async () => {
    for (let bad = 1; bad <= 10; bad++) {
      const rows = new Rows();
      const text = Array.from({ length: 11 }, (_, i) => line(i + 1, i + 1 >= bad ? { bad: "y" } : {})).join("\n");
      const { error, committedLines } = await run(rows, text);
      expect(error).toMatchObject({ code: "sql-error", details: { line: bad, field: "bad" } });
      expect([committedLines, rows.ids.length]).toEqual([bad - 1, bad - 1]);
    }
  });

  test.each([
    ["a text that breaks off", '{"id":1,"n":"a', 9, "bad-request"],
    ["a word JSON does not know", '{"id":1,"n":nul}', 13, "bad-request"],
    ["a comma too many", '{"id":1,}', 9, "bad-request"],
    ["a list", "  [1]", 3, "bad-request"],
    ["bytes that are no text", Buffer.from([0x7b, 0xff, 0x7d]), undefined, "bad-request"],
    ["a line beyond the limit", `{"id":"${"x".repeat(400)}"}`, undefined, "row-too-large"],
  ])("names line and column of %s, with a remedy, and keeps the lines before", async (_what, bad, column, code) => {
    const rows = new Rows();
    const text = Buffer.concat([
      Buffer.from(`${line(1)}\n${line(2)}\n`),
      Buffer.from(bad as string),
      Buffer.from("\n{}"),
    ]);
    const { error, committedLines } = await run(rows, text, [20, 30]);
    expect(error?.code).toBe(code);
    expect([error?.details["line"], committedLines]).toEqual([3, 2]);
    expect(error?.hint).toMatch(/\.$|\?$/);
    if (column !== undefined) expect(error?.details["column"]).toBeGreaterThanOrEqual(Math.min(column, 9));
    expect(rows.ids).toEqual([1n, 2n]);
  });

  test("waits for a busy store, and ends with what is in when it stays so or fails", async () => {
    const text = Array.from({ length: 9 }, (_, i) => line(i)).join("\n");
    const busy = new Rows();
    busy.failures.push("store-busy", "too-many", "store-busy");
    expect(await run(busy, text)).toMatchObject({ error: undefined, committedLines: 9 });
    for (const failures of [Array<ErrorCode>(4).fill("too-many"), ["store-failed"] as ErrorCode[]]) {
      const rows = new Rows();
      const load = loadInto(rows);
      const failing = async function* (): AsyncGenerator<Uint8Array, void, void> {
        yield Buffer.from(`${text.slice(0, 35)}\n`);
        rows.failures.push(...failures);
        yield Buffer.from(text);
      };
      await expect(load.run(failing())).rejects.toMatchObject({ code: failures[0] });
      expect([load.progress.committedLines, rows.ids.length]).toEqual([4, 4]);
    }
  });

  test("that is cut off keeps whole slices and nothing of the one that was begun", async () => {
    const rows = new Rows();
    const load = loadInto(rows);
    const cutOff = async function* (): AsyncGenerator<Uint8Array, void, void> {
      yield Buffer.from(Array.from({ length: 6 }, (_, i) => `${line(i)}\n`).join(""));
      throw new AppError("load-cut-off", "the client went away");
    };
    await expect(load.run(cutOff())).rejects.toMatchObject({ code: "load-cut-off" });
    expect([load.progress.committedLines, rows.slices]).toEqual([4, [4]]);
  });
});
