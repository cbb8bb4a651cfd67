/**
 * The published production trace, replayed at tens of thousands of times its speed into a fleet of three regions: every
 * agent ends equal, every app resolves to exactly the regions that have it, and the index got one row a transition.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePorts, runPatina } from "./testing/fleet.js";

const TRACE = new URL("../../../../shared/data/alibaba-dlrm-2025.csv", import.meta.url).pathname;
const here = existsSync(TRACE);
if (!here) process.stderr.write(`the trace replay is skipped: there is no ${TRACE}\n`);

test.skipIf(!here)("the trace replays into a fleet that agrees with itself", { timeout: 400_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "patina-trace-"));
  const port = String(await freePorts(40));
  const { status, stderr } = await runPatina([
    "dev",
    "--once",
    "--dir",
    dir,
    "--base-port",
    port,
    "--trace",
    TRACE,
    "--speed",
    "80000",
  ]);
  rmSync(dir, { recursive: true });
  expect(stderr).toContain("every app resolves to exactly the regions that have it");
  const counts = /class transitions in the regions: (\d+); rows written to the global index: (\d+)/.exec(stderr);
  expect(Number(counts?.[1])).toBeGreaterThan(300);
  expect(counts?.[2]).toBe(counts?.[1]);
  expect(status).toBe(0);
});

test(
  "a file that is no trace is refused with what is missing, before anything is written",
  { timeout: 60_000 },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "patina-trace-"));
    const port = String(await freePorts(40));
    const wrong = new URL("../package.json", import.meta.url).pathname;
    const { status, stderr } = await runPatina(["dev", "--once", "--dir", dir, "--base-port", port, "--trace", wrong]);
    rmSync(dir, { recursive: true });
    expect(stderr).toContain("is not a trace: it has no column instance_sn");
    expect(status).toBe(2);
  },
);
