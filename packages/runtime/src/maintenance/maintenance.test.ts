/** The write-ahead log under a reader that never ends: bounded, and writes go on by themselves once it is gone. */
import { mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError, type SqlValue } from "@patina/base";
import { defaultStoreLimits, SqliteStore } from "@patina/store";
import Database from "better-sqlite3";
import { afterAll, expect, test, vi } from "vitest";
import type { Maintenance } from "./maintenance.js";

/** A thread runs compiled code, which it finds beside its owner's. */
const compiled = pathToFileURL(join(import.meta.dirname, "../../dist/maintenance/maintenance.js")).href;
const { Maintenance: Built } = (await import(compiled)) as { Maintenance: typeof Maintenance };

const WAL_MAX = 1 << 20;
const WRITE_BYTES = 20_000;
const dir = mkdtempSync(join(tmpdir(), "patina-maintenance-"));
afterAll(() => rmSync(dir, { recursive: true }));

const path = join(dir, "state.db");
const walBytes = (): number => statSync(`${path}-wal`).size;

function open(at = path): SqliteStore {
  return new SqliteStore({
    path: at,
    cluster: { name: "iad", generation: 1 },
    node: "1".repeat(32),
    newDbId: () => "a".repeat(16),
    schemaSql: "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v BLOB);",
    limits: { ...defaultStoreLimits, walBytesMax: at === path ? WAL_MAX : defaultStoreLimits.walBytesMax },
    walAutocheckpointPages: 0,
  });
}

/** "ok", or the code it was refused with. */
function put(store: SqliteStore, n: number): string {
  const values: Record<string, SqlValue> = { id: `k${n % 7}`, v: new Uint8Array(WRITE_BYTES).fill(n) };
  try {
    return store.commit([{ kind: "rows", rows: [{ table: "t", values }] }], 1_790_000_000_000)[0]?.ok === true ? "ok" : "refused"; // prettier-ignore
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.code;
    throw thrown;
  }
}

test(
  "a stuck reader cannot make the log longer than its limit, and writes go on when it is gone",
  { timeout: 30_000 },
  async () => {
    const store = open();
    const maintenance = new Built(path, WAL_MAX / 4);
    const reader = new Database(path, { readonly: true });
    try {
      put(store, 0);
      reader.exec("BEGIN");
      reader.prepare("SELECT count(*) FROM t").get();
      let written = 0;
      while (put(store, ++written) === "ok") expect(written).toBeLessThan(1000);
      expect(put(store, written)).toBe("store-busy");
      expect(() => store.apply([])).toThrow(expect.objectContaining({ code: "store-busy" }));
      expect(walBytes()).toBeLessThan(WAL_MAX + 10 * WRITE_BYTES);
      reader.exec("COMMIT");
      await vi.waitFor(() => expect(put(store, written)).toBe("ok"), { timeout: 15_000 });
      expect(walBytes()).toBeLessThan(WAL_MAX);
      expect(store.read("SELECT count(*) FROM t")).toEqual([[7n]]);
    } finally {
      reader.close();
      await maintenance.close();
      store.close();
    }
  },
);

test("a thread that ended by itself leaves nobody waiting, and is followed by another", async () => {
  const nowhere = join(dir, "not yet.db");
  const maintenance = new Built(nowhere);
  const outcome = (): Promise<unknown> => maintenance.scrub().catch((thrown: unknown) => (thrown as AppError).code);
  expect(await outcome()).toBe("internal");
  expect(await outcome()).toBe("internal");
  const store = open();
  symlinkSync(path, nowhere);
  expect(await outcome()).toEqual([]);
  store.close();
  await maintenance.close();
  expect(await outcome()).toBe("not-ready");
});

test("scrubs, however many, do not keep the log from being written back", { timeout: 60_000 }, async () => {
  const own = join(dir, "scrubbed.db");
  const store = open(own);
  const rows = Array.from({ length: 5000 }, (_, i) => ({
    table: "t",
    values: { id: `k${i}`, v: new Uint8Array(100) },
  }));
  expect(store.commit([{ kind: "rows", rows }], 1_790_000_000_000)[0]?.ok).toBe(true);
  const before = statSync(own).size;
  const maintenance = new Built(own);
  try {
    let done = 0;
    const scrubs = Array.from({ length: 200 }, async () => {
      return maintenance.scrub().then(
        () => (done++, "done"),
        () => "cut off",
      );
    });
    await vi.waitFor(() => expect(statSync(own).size).toBeGreaterThan(before), { timeout: 50_000 });
    expect(done).toBeLessThan(scrubs.length);
    await maintenance.close();
    expect(await Promise.all(scrubs)).toContain("cut off");
  } finally {
    await maintenance.close();
    store.close();
  }
});
