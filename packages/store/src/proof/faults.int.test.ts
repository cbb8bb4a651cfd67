/**
 * Disks that fail under a running store: full, giving errors, read-only, damaged. In each the store says `store-failed`,
 * keeps nothing by halves, refuses all later writes with the same words, and works again once it is opened on a good disk.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs"; // prettier-ignore
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AppError, type Holdings, Ranges, Rng, type SqlValue } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { CRASH_WALL_MS, groupWrite, openCrashStore, tornGroups } from "../testing/crash-workload.js";
import { Scratch, scrubbed } from "../testing/scratch-store.js";

/** The built program: a child process runs no TypeScript. */
const WRITER = join(import.meta.dirname, "../../dist/testing/fault-writer.worker.js");
/** Damages tried in each page. */
const FLIPS = 6;
/** A writer that gets so far has not noticed that its disk is broken. */
const LINES_MAX = 20_000;
const scratch = new Scratch("faults");
afterAll(() => scratch.remove());

interface Line {
  readonly kind: "open" | "done" | "failed";
  readonly name?: string;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly again?: unknown;
  readonly remote?: unknown;
  readonly isUnchanged?: boolean;
}

/** Runs the writer, breaks its disk when it is under way, waits until it has failed, and ends it. */
async function failedWriter(
  command: readonly string[],
  path: string,
  breakDisk: (pid: number) => void,
  arrivalShare = 0.3,
): Promise<{ done: string[]; failed: Line }> {
  const args = [...command.slice(1), process.execPath, WRITER, path, scratch.newPath(), "1", String(arrivalShare)];
  const [file = "", ...rest] = command.length === 0 ? args : [command[0] ?? "", ...args];
  const child: ChildProcessWithoutNullStreams = spawn(file, rest, { stdio: "pipe" });
  const lines: Line[] = [];
  const failed = new Promise<Line>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      lines.push(line);
      if (lines.length === 40) breakDisk(child.pid ?? -1);
      if (lines.length > LINES_MAX) reject(new Error("the disk was broken and nothing failed"));
      if (line.kind === "failed") resolve(line);
    });
    child.once("close", (code) => reject(new Error(`the writer ended with ${code}: ${child.stderr.read() ?? ""}`)));
  });
  const ended = once(child, "exit");
  const line = await failed.finally(() => child.stdin.end("end\n"));
  await ended;
  return { done: lines.flatMap(({ kind, name = "" }) => (kind === "done" ? [name] : [])), failed: line };
}

function expectFatal({ failure, again, remote, isUnchanged }: Line, message: RegExp): void {
  expect(failure).toMatchObject({ code: "store-failed", message: expect.stringMatching(message) });
  expect(again).toEqual(failure);
  expect(remote).toEqual(failure);
  expect(isUnchanged).toBe(true);
}

/** Opened on a good disk: all that was acknowledged is there, nothing by halves, and it goes on. */
function expectRecovered(path: string, done: readonly string[]): void {
  const store = openCrashStore(path, 1);
  try {
    const ledger = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
    expect(done.filter((name) => !ledger.has(name))).toEqual([]);
    expect(tornGroups(store)).toEqual([]);
    const [outcome] = store.commit([groupWrite("after", new Rng(1))], CRASH_WALL_MS);
    expect(outcome?.ok).toBe(true);
  } finally {
    store.close();
  }
  expect(scrubbed(path)).toBe("");
}

const mounts: string[] = [];
/** A small file system of its own. */
function mountSmall(name: string, size: string): string {
  const at = join(scratch.dir, name);
  mkdirSync(at);
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", at]);
  if (status !== 0) return "";
  mounts.push(at);
  return at;
}
afterAll(() => {
  for (const at of mounts) spawnSync("umount", ["--lazy", at]);
});
const canMount = mountSmall("probe", "64k") !== "";
if (!canMount) process.stdout.write("faults: file systems cannot be mounted here: full and read-only disks are not tested\n"); // prettier-ignore
const hasFiu = spawnSync("fiu-run", []).error === undefined;
if (!hasFiu) process.stdout.write("faults: fiu-run is not here (ops/dev/debian-packages.sh): I/O errors are not tested\n"); // prettier-ignore

test.skipIf(!canMount)("a full disk", { timeout: 60_000 }, async () => {
  const [at, path] = [mountSmall("full", "3m"), join(scratch.dir, "full", "state.db")];
  const ballast = join(at, "ballast");
  const { done, failed } = await failedWriter([], path, () => fill(ballast));
  expectFatal(failed, /disk is full|disk I\/O error/);
  expect(done.length).toBeGreaterThan(30);
  rmSync(ballast);
  expectRecovered(path, done);
});

function fill(path: string): void {
  const [file, page] = [openSync(path, "w"), Buffer.alloc(1024)];
  try {
    for (;;) writeSync(file, page);
  } catch {
    closeSync(file); // There is no room for more: that was the point.
  }
}

test.skipIf(!canMount)("a read-only disk, until it can be written again", () => {
  const [at, path] = [mountSmall("read-only", "3m"), join(scratch.dir, "read-only", "state.db")];
  const store = openCrashStore(path, 1);
  store.commit([groupWrite("kept", new Rng(2))], CRASH_WALL_MS);
  store.close();
  expect(spawnSync("mount", ["-o", "remount,ro", at]).status).toBe(0);
  expect(codeOf(() => openCrashStore(path, 1))).toBe("store-failed");
  expect(spawnSync("mount", ["-o", "remount,rw", at]).status).toBe(0);
  expectRecovered(path, ["kept"]);
});

test.skipIf(!hasFiu).each([
  ["writing its own", "posix/io/rw/pwrite", 0],
  ["writing what peers send", "posix/io/rw/pwrite", 1],
  ["syncing", "posix/io/sync/fsync", 0.3],
])("a disk that gives errors on %s (%s)", { timeout: 60_000 }, async (_what, point, arrivalShare) => {
  const path = scratch.newPath();
  const control = join(scratch.dir, "fiu");
  const enable = (pid: number): void => {
    const { status } = spawnSync("fiu-ctrl", ["-f", control, "-c", `enable name=${point},failinfo=5`, String(pid)]);
    expect(status).toBe(0);
  };
  const { done, failed } = await failedWriter(["fiu-run", "-x", "-f", control], path, enable, arrivalShare);
  expectFatal(failed, /disk I\/O error/);
  expectRecovered(path, done);
});

describe("a damaged file", () => {
  const PAGE = 4096;
  const good = scratch.newPath();
  const made = openCrashStore(good, 1);
  for (let i = 0; i < 120; i++) made.commit([groupWrite(`w${i}`, new Rng(i))], CRASH_WALL_MS);
  const expected = contentOf(made);
  made.close();

  test("that is no database is refused as store-failed, and as it was it opens again", () => {
    const path = scratch.newPath();
    writeFileSync(path, "this is no database, and long enough to be looked at ".repeat(200));
    expect(codeOf(() => openCrashStore(path, 1))).toBe("store-failed");
    copyFileSync(good, path);
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(100, 0xff), 0, 100, 0);
    closeSync(file);
    expect(codeOf(() => openCrashStore(path, 1))).toBe("store-failed");
    copyFileSync(good, path);
    expectRecovered(path, ["w0", "w119"]);
  });

  test(
    "in any page: opening or using it says store-failed, or a check finds it, or every row is still right",
    { timeout: 60_000 },
    () => {
      const found = { failed: 0, checked: 0, harmless: 0 };
      const rng = new Rng(3);
      const bytes = readFileSync(good);
      for (let at = 0; at < bytes.length; at += PAGE) {
        for (let flip = 0; flip < FLIPS; flip++) {
          const path = scratch.newPath();
          const damaged = Buffer.from(bytes);
          // Half of them near the page's head, where its structure is.
          for (let i = 0; i < 8; i++) damaged[at + rng.below(flip % 2 === 0 ? 64 : PAGE)] = rng.below(256);
          writeFileSync(path, damaged);
          found[verdict(path, expected)]++;
          for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
        }
      }
      expect(Math.min(found.failed, found.checked, found.harmless)).toBeGreaterThan(0);
      process.stdout.write(`faults: damaged pages: ${JSON.stringify(found)}\n`);
    },
  );
});

/** What users see of the store, and what it says it holds. */
function contentOf(store: SqliteStore): string {
  const cell = (value: SqlValue): string => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value)); // prettier-ignore
  const tables = ["groups", "ledger"].map((table) => store.read(`SELECT * FROM ${table} ORDER BY id`));
  const held = (holdings: Holdings): string[] => [...holdings].map(([of, { head, gaps }]) => `${of}:${head}!${gaps.toString()}`); // prettier-ignore
  return JSON.stringify([tables.map((rows) => rows.map((row) => row.map(cell).join("|"))), held(store.holdings())]);
}

/** Opens, reads and writes a damaged file: every error must be one of ours, and wrong rows must not pass the checks. */
function verdict(path: string, expected: string): "failed" | "checked" | "harmless" {
  let content: string | undefined;
  let store: SqliteStore | undefined;
  try {
    store = openCrashStore(path, 1);
    content = contentOf(store);
    for (const [origin, { head }] of store.holdings())
      store.extract(origin, Ranges.of(1, Math.min(head, 1000)), 1 << 20);
    const [outcome] = store.commit([groupWrite("more", new Rng(5))], CRASH_WALL_MS);
    if (outcome?.ok === false) throw outcome.error;
  } catch (thrown) {
    const isRead = thrown instanceof Database.SqliteError && content === undefined; // The engine's own reads say it as SQLite does.
    if (!isRead && !(thrown instanceof AppError)) throw thrown;
    return "failed";
  } finally {
    store?.close();
  }
  if (content === expected) return "harmless";
  if (!isSound(path)) return "checked";
  throw new Error(`damage that nothing notices: ${content.slice(0, 300)}`);
}

function isSound(path: string): boolean {
  const db = new Database(path);
  try {
    return db.pragma("quick_check(1)", { simple: true }) === "ok" && scrubbed(path) === "";
  } catch {
    return false; // It cannot even be checked.
  } finally {
    db.close();
  }
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "ok";
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.code;
    throw thrown;
  }
}
