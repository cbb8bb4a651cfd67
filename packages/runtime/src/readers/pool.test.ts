/** The reader pool on a real database and real processes: built first, since its processes run the built file. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppError } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type * as Built from "./pool.js";

const built = new URL("../../dist/readers/pool.js", import.meta.url).href;
const { ReaderPool, defaultReaderPoolConfig } = (await import(built)) as typeof Built;

const dir = mkdtempSync(join(tmpdir(), "patina-readers-"));
const path = join(dir, "state.db");
const ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
let pool: Built.ReaderPool;

beforeAll(() => {
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
  db.exec(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, i FROM n",
  );
  db.exec("UPDATE t SET v = 9007199254740993 WHERE id = 1; UPDATE t SET v = x'00ff' WHERE id = 2");
  db.close();
});
afterEach(() => pool.close());
afterAll(() => rmSync(dir, { recursive: true }));

function open(config: Partial<Built.ReaderPoolConfig> = {}): Built.ReaderPool {
  return (pool = new ReaderPool(path, { ...defaultReaderPoolConfig, ...config }));
}

async function rows(sql: string, deadlineMs?: number): Promise<unknown[]> {
  const { batches } = await pool.query(sql, [], deadlineMs);
  let text = "";
  for await (const lines of batches) text += lines;
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { row: [number, unknown[]] }).row);
}

/** The process id of a child of this process that runs such a program. */
function childRunning(program: string): number {
  const isIt = (pid: string): boolean => {
    try {
      const parent = /\) \w (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
      return parent === String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(program);
    } catch {
      return false; // It ended meanwhile.
    }
  };
  return Number(readdirSync("/proc").find((name) => /^\d+$/.test(name) && isIt(name)));
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "nothing thrown",
    (thrown: unknown) => (thrown as AppError).code,
  );
}

test("rows come in batches, large integers as text and bytes as numbers", async () => {
  open({ batchRows: 100 });
  expect((await rows("SELECT id FROM t ORDER BY id")).length).toBe(2000);
  expect(await rows("SELECT v FROM t WHERE id <= 3 ORDER BY id")).toEqual([
    [1, ["9007199254740993"]],
    [2, [[0, 255]]],
    [3, [3]],
  ]);
});

test("a query past its deadline is killed, and the next one is served", async () => {
  open({ workers: 1 });
  expect(await codeOf(rows(ENDLESS, 200))).toBe("sql-deadline");
  expect(await rows("SELECT 1")).toEqual([[1, [1]]]);
});

test("queries wait for a reader up to a limit, and a reader left in the middle is free again", async () => {
  open({ workers: 1, queriesQueuedMax: 1, batchRows: 10 });
  const first = await pool.query("SELECT id FROM t", []);
  await first.batches.next();
  const second = rows("SELECT 2");
  expect(await codeOf(rows("SELECT 3"))).toBe("too-many");
  await first.batches.return();
  expect(await second).toEqual([[1, [2]]]);
});

test("a reader whose rows nobody began to read is free again", async () => {
  open({ workers: 1, deadlineMs: 60_000 });
  for (let i = 0; i < 3; i++) {
    const left = await pool.query("SELECT id FROM t", []);
    const next = rows("SELECT 2"); // It waits for the only one there is.
    expect(await left.batches.return()).toEqual({ done: true, value: undefined });
    await left.batches.return();
    expect(await next).toEqual([[1, [2]]]);
  }
});

test("more rows than allowed, writes and anything but one SELECT are refused", async () => {
  open({ rowsMax: 100 });
  expect(await codeOf(rows("SELECT * FROM t"))).toBe("too-many");
  for (const sql of ["DELETE FROM t", "BEGIN", "PRAGMA journal_mode = DELETE", "VACUUM", "ATTACH 'x' AS y", ""]) {
    expect(await codeOf(rows(sql)), sql).toBe("sql-not-allowed");
  }
  expect(await codeOf(rows("SELECT randomblob(900000000)"))).toBe("sql-error");
});

test("closing ends a query that would never end", async () => {
  open({ workers: 1 });
  const endless = codeOf(rows(ENDLESS, 60_000));
  await pool.close();
  expect(await endless).toBe("not-ready");
});

test("whoever waits for a process that ends by itself gets another", async () => {
  open({ workers: 1 });
  const first = codeOf(pool.query(ENDLESS, [], 60_000));
  const waiting = rows("SELECT id FROM t WHERE id = 1");
  process.kill(childRunning("reader.worker"), "SIGKILL");
  expect(await first).toBe("internal");
  expect(await waiting).toEqual([[1, [1]]]);
});

test("large rows leave in batches of their own, since no string holds many of them", { timeout: 30_000 }, async () => {
  const { batches } = await open().query("SELECT hex(zeroblob(1000000)) FROM t LIMIT 30", []);
  const lengths: number[] = [];
  for await (const lines of batches) lengths.push(lines.length);
  expect(lengths.filter((length) => length > 0)).toHaveLength(30);
});
