/**
 * The published production trace, replayed at tens of thousands of times its speed into a fleet of three regions: every
 * agent ends equal, every app resolves to exactly the regions that have it, and the index got no row without a transition.
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
  const told = /(\d+) class transitions, (\d+) rows that an audit missed and (\d+) that nobody answered/.exec(stderr);
  const written = Number(/rows written to the global index: (\d+)/.exec(stderr)?.[1]);
  expect(written).toBeGreaterThan(300);
  // A message that took too long is told to the next global agent, who writes it too if it has not heard of it yet.
  const atMost = told?.slice(1).reduce((sum, count) => sum + Number(count), 0);
  expect(written).toBeLessThanOrEqual(atMost ?? 0);
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
