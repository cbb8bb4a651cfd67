/** Live queries from a committed row to a client's stream of lines, with the real thread and a real store. */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError, assert, type ChangedRow, type SqlValue } from "@patina/base";
import { SqliteStore } from "@patina/store";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { defaultLiveQueriesConfig, type LiveQueriesConfig } from "./config.js";
import type { LiveQueriesHost, LiveStream } from "./host.js";

/** A thread runs compiled code, which it finds beside the host's. */
const compiled = pathToFileURL(join(import.meta.dirname, "../../dist/live-queries/host.js")).href;
const { LiveQueriesHost: Host } = (await import(compiled)) as { LiveQueriesHost: typeof LiveQueriesHost };

const SCHEMA = `
CREATE TABLE machines (id TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL DEFAULT 'created', size INTEGER NOT NULL DEFAULT 1);
CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);
`;
const ALL = "SELECT id, state FROM machines";
const FRESH = { from: undefined, skipRows: false };

interface Line {
  readonly columns?: string[];
  readonly row?: [number, unknown[]];
  readonly eoq?: { time: number; change_id: number };
  readonly change?: [string, number, unknown[], number];
  readonly error?: string;
  readonly code?: string;
}

let dir: string;
let store: SqliteStore;
let host: LiveQueriesHost;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-live-host-"));
  store = new SqliteStore({
    path: join(dir, "state.db"),
    cluster: { name: "iad", generation: 1 },
    node: "1".padStart(32, "0"),
    newDbId: () => "a".repeat(16),
    schemaSql: SCHEMA,
  });
  start();
});

afterEach(async () => {
  await host.close();
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function start(config: Partial<LiveQueriesConfig> = {}): void {
  host = new Host(join(dir, "state.db"), { ...defaultLiveQueriesConfig, ...config });
}

function write(sql: string, ...params: SqlValue[]): readonly ChangedRow[] {
  const [outcome] = store.commit([{ kind: "statements", statements: [{ sql, params }] }], 1_790_000_000_000);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  return outcome.rows;
}

function commit(sql: string, ...params: SqlValue[]): void {
  host.onChanged(write(sql, ...params));
}

/** Adds `count` rows to a table. */
function fill(table: string, count: number): readonly ChangedRow[] {
  const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)";
  return write(`INSERT INTO ${table} (id) ${numbers} SELECT printf('%05d', i) FROM n`, BigInt(count));
}

/** Reads a stream line by line. */
class Reader {
  readonly id: string;
  readonly #lines: AsyncGenerator<string, void, void>;
  #buffered: Line[] = [];

  constructor({ id, lines }: LiveStream) {
    this.id = id;
    this.#lines = lines;
  }

  /** The next line; undefined at the end. */
  async line(): Promise<Line | undefined> {
    while (this.#buffered.length === 0) {
      const { done, value } = await this.#lines.next();
      if (done === true) return undefined;
      assert(value.endsWith("\n"), "whole lines");
      this.#buffered = value
        .trimEnd()
        .split("\n")
        .map((text) => JSON.parse(text) as Line);
    }
    return this.#buffered.shift();
  }

  /** Lines up to and with the first that `isLast`. */
  async until(isLast: (line: Line) => boolean): Promise<Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const line = await this.line();
      if (line === undefined) throw new Error(`ended after ${JSON.stringify(lines.at(-1))}`);
      lines.push(line);
      if (isLast(line)) return lines;
    }
  }

  async rest(): Promise<Line[]> {
    const lines: Line[] = [];
    for (let line = await this.line(); line !== undefined; line = await this.line()) lines.push(line);
    return lines;
  }

  async snapshot(): Promise<Line[]> {
    return this.until(({ eoq }) => eoq !== undefined);
  }

  async change(): Promise<Line["change"]> {
    return (await this.line())?.change;
  }

  async leave(): Promise<void> {
    await this.#lines.return();
  }
}

async function open(
  sql = ALL,
  options: { from?: number; skipRows?: boolean } = {},
  params: SqlValue[] = [],
): Promise<Reader> {
  return new Reader(await host.open(sql, params, { ...FRESH, ...options }));
}

async function attach(id: string, options: { from?: number; skipRows?: boolean } = {}): Promise<Reader> {
  return new Reader(await host.attach(id, { ...FRESH, ...options }));
}

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(AppError);
  return thrown as AppError;
}

const changeIds = (lines: readonly Line[]): unknown[] => lines.map(({ change }) => change?.[3]);

describe("a stream", () => {
  test("gives columns, rows, the end of the query, then changes as they are committed", async () => {
    commit("INSERT INTO machines (id) VALUES ('a'), ('b')");
    const stream = await host.open(ALL, [], FRESH);
    expect(stream.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(stream.hash).toMatch(/^[0-9a-f]{16}$/);
    const client = new Reader(stream);
    expect(await client.snapshot()).toEqual([
      { columns: ["id", "state"] },
      { row: [1, ["a", "created"]] },
      { row: [2, ["b", "created"]] },
      { eoq: { time: expect.any(Number) as number, change_id: 0 } },
    ]);
    commit("UPDATE machines SET state = 'started' WHERE id = 'b'");
    expect(await client.change()).toEqual(["update", 2, ["b", "started"], 1]);
    commit("DELETE FROM machines WHERE id = 'a'");
    expect(await client.change()).toEqual(["delete", 1, ["a", "created"], 2]);
  });

  test("fetches many rows in chunks", async () => {
    fill("machines", 1234);
    const lines = await (await open()).snapshot();
    expect(lines).toHaveLength(1236);
    expect(new Set(lines.map(({ row }) => row?.[0]))).toHaveProperty("size", 1235);
  });

  test("without rows, or from a change on", async () => {
    const first = await open();
    await first.snapshot();
    for (const id of ["a", "b", "c"]) {
      commit("INSERT INTO machines (id) VALUES (?)", id);
      await first.change();
    }
    const bare = await attach(first.id, { skipRows: true });
    expect(await bare.snapshot()).toMatchObject([{ columns: ["id", "state"] }, { eoq: { change_id: 3 } }]);
    const resumed = await open(ALL, { from: 1 });
    expect(resumed.id).toBe(first.id);
    commit("DELETE FROM machines WHERE id = 'c'");
    expect(changeIds(await resumed.until(({ change }) => change?.[3] === 4))).toEqual([2, 3, 4]);
    expect(await bare.change()).toEqual(["delete", 3, ["c", "created"], 4]);
    expect(await (await open(ALL, { from: 0 })).snapshot()).toHaveLength(4);
  });

  test("ends when its client leaves, also while it waits for a line", async () => {
    const client = await open();
    await client.snapshot();
    const waiting = client.line();
    await client.leave();
    expect(await waiting).toBeUndefined();
    const left = await open();
    await left.leave();
    expect(await left.rest()).toEqual([]);
  });

  test("is refused with the reason", async () => {
    expect((await errorOf(open("SELECT count(*) FROM machines"))).code).toBe("subscription-unsupported");
    expect((await errorOf(open("SELECT nope FROM machines"))).code).toBe("sql-error");
    expect((await errorOf(open(ALL, { from: 7 }))).code).toBe("subscription-unknown");
    expect((await errorOf(attach("nobody"))).code).toBe("subscription-unknown");
    const { id } = await open();
    expect((await errorOf(attach(id, { from: 7 }))).hint).toContain("Start over");
  });

  test("cannot continue after a change that is no longer kept", async () => {
    await host.close();
    start({ changesKeptMax: 2 });
    const client = await open();
    await client.snapshot();
    host.onChanged(fill("machines", 5));
    await client.until(({ change }) => change?.[3] === 5);
    expect((await errorOf(attach(client.id, { from: 2 }))).code).toBe("subscription-unknown");
    const resumed = await attach(client.id, { from: 3 });
    expect(changeIds([(await resumed.line()) ?? {}, (await resumed.line()) ?? {}])).toEqual([4, 5]);
  });
});

describe("many clients", () => {
  test("one that attaches while events flow misses none and sees none twice", async () => {
    fill("machines", 700);
    const clients = [await open()];
    for (let round = 1; round <= 40; round++) {
      commit("UPDATE machines SET state = ? WHERE id <= '00020'", `s${round}`);
      if (round % 3 === 0) commit("INSERT INTO machines (id) VALUES (?)", `new${round}`);
      if (round % 4 === 0) commit("DELETE FROM machines WHERE id = ?", `new${round - 1}`);
      const joining = round % 2 === 0 ? open() : attach(clients[0]?.id ?? "");
      commit("UPDATE machines SET state = ? WHERE id = '00002'", `t${round}`);
      clients.push(await joining);
    }
    commit("INSERT INTO machines (id) VALUES ('last')"); // A key that is new to those waiting comes after them.
    const expected = store.read("SELECT id, state FROM machines ORDER BY id");
    for (const client of clients) {
      const rows = new Map<number, unknown[]>();
      let at: number | undefined;
      await client.until(({ row, eoq, change }) => {
        if (row !== undefined) rows.set(...row);
        at = eoq?.change_id ?? at;
        if (change === undefined) return false;
        const [kind, rowId, cells, changeId] = change;
        expect(changeId).toBe((at ?? -2) + 1);
        at = changeId;
        expect(rows.has(rowId)).toBe(kind !== "insert");
        if (kind === "delete") rows.delete(rowId);
        else rows.set(rowId, cells);
        return cells[0] === "last";
      });
      expect([...rows.values()].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))).toEqual(expected);
    }
  });

  test("a row committed while its query is being opened is not missed", async () => {
    await (await open("SELECT id FROM other")).snapshot(); // The thread is up, so that opening and committing do race.
    for (let round = 1; round <= 30; round++) {
      const opening = open("SELECT id FROM machines WHERE id = ?", {}, [`m${round}`]);
      if (round % 2 === 0) await new Promise(setImmediate);
      commit("INSERT INTO machines (id) VALUES (?)", `m${round}`);
      await (await opening).until(({ row, change }) => (row ?? change) !== undefined);
    }
  });

  test("one that leaves among its rows is forgotten; the others get theirs", async () => {
    fill("machines", 3000);
    const leaving = await open();
    await leaving.until(({ row }) => row !== undefined);
    const staying = await open();
    const rest = leaving.rest();
    await leaving.leave();
    expect((await rest).length).toBeLessThan(3000);
    expect(await staying.snapshot()).toHaveLength(3002);
  });

  test("a slow one is told that it lags and let go; the others go on", async () => {
    await host.close();
    start({ clientLinesMax: 3 });
    const slow = await open();
    await slow.snapshot();
    const quick = await open();
    await quick.snapshot();
    for (let i = 1; i <= 6; i++) {
      commit("INSERT INTO machines (id) VALUES (?)", `m${i}`);
      expect((await quick.change())?.[3]).toBe(i);
    }
    expect(await slow.rest()).toEqual([{ error: expect.stringMatching(/^lagged: /) as string, code: "too-many" }]);
    commit("DELETE FROM machines WHERE id = 'm1'");
    expect((await quick.change())?.[0]).toBe("delete");
  });

  test("are limited in number, and one that leaves makes room", async () => {
    await host.close();
    start({ clientsMax: 2 });
    const first = await open();
    await open();
    expect((await errorOf(open())).code).toBe("too-many");
    await first.leave();
    await open();
  });

  test("more changed keys than are kept for the thread: the queries are run again instead", async () => {
    await host.close();
    start({ keysPendingMax: 10, keysPerRequestMax: 4 });
    const machines = await open();
    await machines.snapshot();
    const others = await open("SELECT id FROM other");
    await others.snapshot();
    host.onChanged([...fill("machines", 50), ...fill("other", 9)]);
    expect(changeIds(await machines.until(({ change }) => change?.[3] === 50))).toHaveLength(50);
    expect(changeIds(await others.until(({ change }) => change?.[3] === 9))).toHaveLength(9);
  });

  test("a query without clients is dropped after a while", async () => {
    await host.close();
    start({ idleMs: 1 });
    const client = await open();
    await client.leave();
    await vi.waitFor(async () => {
      const found = await host.attach(client.id, FRESH).catch((error: unknown) => error);
      if (found instanceof AppError) return expect(found.code).toBe("subscription-unknown");
      await (found as LiveStream).lines.return();
      throw new Error("it is still there");
    });
    expect((await open()).id).not.toBe(client.id);
  });
});

describe("a thread that takes too long is ended, with its queries, and replaced", () => {
  const SLOW = "SELECT id, length(hex(zeroblob(size))) FROM machines";
  const HUGE = 8_000_000;

  beforeEach(async () => {
    await host.close();
    start({ deadlineMs: 400 });
    fill("machines", 400);
  });

  async function expectEnded(client: Reader): Promise<void> {
    expect((await client.rest()).at(-1)).toMatchObject({
      error: expect.stringContaining("longer than"),
      code: "sql-deadline",
    });
    const again = await open();
    expect(again.id).not.toBe(client.id);
    await again.snapshot();
    commit("DELETE FROM machines WHERE id = '00001'");
    expect((await again.change())?.[0]).toBe("delete");
    expect((await errorOf(attach(client.id))).code).toBe("subscription-unknown");
  }

  test("by a query that is opened", async () => {
    const client = await open("SELECT id FROM other");
    await client.snapshot();
    commit("UPDATE machines SET size = ?", BigInt(HUGE));
    expect((await errorOf(open(SLOW))).code).toBe("sql-deadline");
    await expectEnded(client);
  });

  test("by a batch of changes", async () => {
    const client = await open(SLOW);
    await client.snapshot();
    const ticks = vi.fn<() => void>();
    const timer = setInterval(ticks, 5);
    commit("UPDATE machines SET size = ?", BigInt(HUGE));
    await expectEnded(client);
    clearInterval(timer);
    expect(ticks.mock.calls.length).toBeGreaterThan(20); // Nobody waited for it here.
  });
});

test("closing ends every stream with the reason", async () => {
  const client = await open();
  await client.snapshot();
  await host.close();
  expect(await client.rest()).toEqual([
    { error: "the agent is stopping", code: "not-ready", hint: "Subscribe at another agent." },
  ]);
  expect((await errorOf(open())).code).toBe("not-ready");
});

test("a database that is not there is an error for whoever asks, and silences nobody once it is there", async () => {
  await host.close();
  const later = join(dir, "later.db");
  host = new Host(later);
  const asked = errorOf(open());
  host.onChanged(fill("machines", 1)); // No thread will ever look at this.
  expect((await asked).code).toBe("internal");
  symlinkSync(join(dir, "state.db"), later);
  const client = await open();
  await client.snapshot();
  commit("DELETE FROM machines WHERE id = '00001'");
  expect((await client.change())?.[0]).toBe("delete");
});
