/** A real process, killed at any moment: what it acknowledged is there, nothing is there by halves, and it goes on. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { holds, Rng } from "@patina/base";
import { afterAll, expect, test } from "vitest";
import { takeImage } from "../database/image.js";
import { CRASH_WALL_MS, groupWrite, heldText, openCrashStore, tornGroups } from "../testing/crash-workload.js";
import { Scratch, scrubbed } from "../testing/scratch-store.js";

/** `PATINA_PROOF=20 npm test -- crash` kills twenty times as often. */
const KILLS = 48 * Number(process.env["PATINA_PROOF"] ?? 1);
const LINES_MAX = 60;
/** The built program: a child process runs no TypeScript. */
const WRITER = join(import.meta.dirname, "../../dist/testing/crash-writer.worker.js");

const scratch = new Scratch("crash");
afterAll(() => scratch.remove());

interface Said {
  readonly name: string;
  readonly origin: string;
  readonly version: number;
}

/** Starts the writer and kills it when it has said so many lines; all that it said, those on the way included. */
async function killedWriter(path: string, seed: number, lines: number): Promise<{ said: Said[]; held: string }> {
  const child = spawn(process.execPath, [WRITER, path, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  const texts: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    texts.push(line);
    if (texts.length === lines) child.kill("SIGKILL");
  });
  const [, [, signal]] = await Promise.all([once(reader, "close"), once(child as ChildProcess, "close")]);
  expect(signal).toBe("SIGKILL");
  const parts = texts.map((text) => text.split(" "));
  expect(parts[0]?.[0]).toBe("open");
  const said = parts
    .slice(1)
    .filter(([kind]) => kind !== "kept")
    .map(([, name = "", origin = "", version]) => ({ name, origin, version: Number(version) }));
  return { said, held: parts[0]?.[1] ?? "" };
}

test(
  `${KILLS} processes killed at random: acknowledged writes are there, no version by halves, and the next one goes on`,
  { timeout: 0 },
  async () => {
    const rng = new Rng(7);
    const path = scratch.newPath();
    const all: Said[] = [];
    let versionsLast = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const { said } = await killedWriter(path, kill, 2 + rng.below(LINES_MAX));
      all.push(...said);
      const store = openCrashStore(path, 1, 0);
      try {
        const ledger = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
        const lost = all.filter(
          ({ name, origin, version }) => !ledger.has(name) || !holds(store.holdings().get(origin), version),
        );
        expect(lost).toEqual([]);
        expect(tornGroups(store)).toEqual([]);
        expect(scrubbed(path)).toBe("");
        expect(store.quarantinedCount()).toBe(0);
        expect(onDisk(path)).toBe(heldText(store));
        const own = store.holdings().get(store.origin);
        expect(own?.gaps.isEmpty).toBe(true);
        // Each of its own versions is one entry of the ledger, so none was made by halves and none twice.
        const others = [...store.holdings()].reduce((sum, [, { head, gaps }]) => sum + head - gaps.size, 0);
        expect(ledger.size).toBe(others);
        const [outcome] = store.commit([groupWrite(`parent-${kill}`, rng)], CRASH_WALL_MS);
        const version = outcome?.ok === true ? (outcome.change?.version ?? 0) : 0;
        expect(version).toBe((own?.head ?? 0) + 1);
        expect(version).toBeGreaterThan(versionsLast);
        versionsLast = version;
      } finally {
        store.close();
      }
    }
    expect(all.length).toBeGreaterThan(KILLS * 10);
    process.stdout.write(`crash: ${KILLS} kills, ${all.length} acknowledged versions, all there\n`);
  },
);

/** The holdings as another process reads them from the file. */
function onDisk(path: string): string {
  const { holdings } = takeImage(path, scratch.newPath());
  return Object.entries(holdings).map(([origin, held]) => `${origin}=${held}`).sort().join(";"); // prettier-ignore
}

const hasStrace = spawnSync("strace", ["-V"]).status === 0;
if (!hasStrace) process.stdout.write("crash: strace is not here (ops/dev/debian-packages.sh): the write barrier is not checked\n"); // prettier-ignore

test.skipIf(!hasStrace)(
  "between the last write to the log and its acknowledgement the log is synced, in every commit and when told to",
  { timeout: 60_000 },
  () => {
    const [path, trace] = [scratch.newPath(), join(scratch.dir, "trace")];
    const calls = "trace=write,pwrite64,writev,pwritev,fsync,fdatasync";
    const args = [
      "-f",
      "-y",
      "-o",
      trace,
      "-e",
      calls,
      "-e",
      "signal=none",
      process.execPath,
      WRITER,
      path,
      "1",
      "200",
    ];
    const { status, stdout } = spawnSync("strace", args, { encoding: "utf8", maxBuffer: 1 << 26 });
    expect(status).toBe(0);
    const barriers = readTrace(readFileSync(trace, "utf8"), `${path}-wal`);
    expect(barriers.filter(({ isSynced }) => !isSynced)).toEqual([]);
    const acknowledged = stdout.split("\n").filter((line) => /^(ack|kept)/.test(line));
    expect(barriers.length).toBe(acknowledged.length);
    expect(barriers.filter(({ writes }) => writes > 0).length).toBeGreaterThan(100);
    process.stdout.write(`crash: ${barriers.length} acknowledgements, each behind a sync of the log\n`);
  },
);

/** For each acknowledgement: how often the log was written since the one before, and whether it was synced after that. */
function readTrace(text: string, wal: string): { line: string; writes: number; isSynced: boolean }[] {
  const barriers: { line: string; writes: number; isSynced: boolean }[] = [];
  let [writes, isSynced] = [0, true];
  for (const line of text.split("\n")) {
    const [, call, target = ""] = /^\d+\s+(\w+)\(\d+<([^>]*)>/.exec(line) ?? [];
    if (target === wal && call?.includes("write")) [writes, isSynced] = [writes + 1, false];
    else if (target === wal && call?.endsWith("sync") && line.endsWith("= 0")) isSynced = true;
    else if (/^\d+\s+write\(1</.test(line) && line.includes('"got')) continue;
    else if (/^\d+\s+write\(1</.test(line) && /"(ack|kept)/.test(line)) {
      barriers.push({ line, writes, isSynced });
      writes = 0;
    }
  }
  return barriers;
}

test("the trace reader sees a commit that was not synced", () => {
  const call = (text: string): string => `7 ${text}`;
  const write = call('pwrite64(20</d/a-wal>, "x", 24, 0) = 24');
  const sync = call("fdatasync(20</d/a-wal>) = 0");
  const ack = call('write(1<pipe:[1]>, "ack 1 o 1\\n", 10) = 10');
  const read = (...lines: string[]): boolean[] =>
    readTrace(lines.join("\n"), "/d/a-wal").map(({ isSynced }) => isSynced);
  expect(read(write, sync, ack, write, write, sync, ack)).toEqual([true, true]);
  expect(read(write, sync, write, ack)).toEqual([false]);
  expect(read(write, call("fdatasync(21</d/a>) = 0"), ack)).toEqual([false]);
});
