/** Keeping checkpoints on real processes: drilled by themselves, pruned, and what a lost bucket looks like. */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let running: TestFleet;
beforeAll(async () => {
  running = await startTestFleet(["iad"], 300, { checkpointSchedule: "* * * * * *" });
}, 90_000);
afterAll(() => running.stop(), 60_000);

const agents = () => must(running.fleet.layout.fleet.regions["iad"], "iad");
const client = () => new PatinaClient(must(agents()[0], "an agent").api);

async function patina<T>(status: number, ...args: string[]): Promise<T> {
  const ran = await running.patina(...args, "-o", "json");
  expect(`${ran.status} ${ran.stderr}`).toMatch(new RegExp(`^${status} `));
  return JSON.parse(ran.stdout) as T;
}

interface Taken {
  readonly id: string;
  readonly content: { readonly chunks: readonly { readonly id: string }[] };
}

/** The agent that is asked may be taking one unasked just then, and says so. */
async function created(): Promise<Taken> {
  let taken: Taken | undefined;
  await until("a base is taken", async () => {
    const { status, stdout, stderr } = await running.patina("checkpoint", "create", "--region", "iad", "-o", "json");
    if (status !== 0) expect(stderr).toContain("too-many");
    else [taken] = JSON.parse(stdout) as Taken[];
    return status === 0;
  });
  return must(taken, "a checkpoint");
}

interface Info {
  readonly newest: string;
  readonly verified: string | null;
  readonly restoreSeconds: number | null;
  readonly lost: readonly string[];
}
const info = async (): Promise<Info> =>
  must((await patina<Info[]>(0, "checkpoint", "info", "--region", "iad"))[0], "iad");

test(
  "a base is restored unasked by a member that did not take it, and counts as verified",
  { timeout: 90_000 },
  async () => {
    await client().transact(["INSERT INTO machines (id, app, state) VALUES ('m-1', 'hello', 'started')"]);
    await until("a base is verified", async () => (await info()).verified !== null, 60_000);
    const { verified, restoreSeconds, lost } = await info();
    expect(restoreSeconds).toBeGreaterThan(0);
    expect(lost).toEqual([]);
    const base = await patina<{ by: { node: string } }>(
      0,
      "checkpoint",
      "show",
      must(verified, "an id"),
      "--region",
      "iad",
    );
    const store = fileURLToPath(must(running.fleet.layout.fleet.checkpoints, "a store"));
    const proofs = readdirSync(join(store, "v1/iad/v", String(verified)));
    expect(proofs.filter((name) => !name.includes(base.by.node))).not.toEqual([]);
    const beside = readdirSync(dirname(String(agents()[0]?.node_dir)));
    expect(beside.filter((name) => name.includes(".drill-"))).toEqual([]);
  },
);

test("a drill compares with live rows, and the metrics say how the cluster stands", { timeout: 60_000 }, async () => {
  await until("a checkpoint has the row", async () => {
    const [proof] = await patina<{ sampled: number; tookMs: number }[]>(0, "checkpoint", "drill", "--region", "iad");
    return (proof?.sampled ?? 0) > 0;
  });
  const text = await (await fetch(`${must(agents()[0], "an agent").api}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
  expect(value("patina_checkpoint_age_seconds")).toBeLessThan(400);
  expect(value("patina_checkpoint_verified_age_seconds")).toBeLessThan(400);
  expect(value("patina_checkpoint_behind_seconds")).toBeLessThan(60);
  expect(value("patina_checkpoint_drill_seconds")).toBeGreaterThan(0);
  expect(text).toMatch(/^patina_checkpoint_failures_total\{work="take"\} 0$/m);
});

/** ops/runbooks/damaged-checkpoint.md, step by step. */
test(
  "a drill of a damaged checkpoint fails, records nothing, and marks what is damaged",
  { timeout: 60_000 },
  async () => {
    const taken = await created();
    const { id, content } = taken;
    const chunk = String(content.chunks[0]?.id);
    const store = join(fileURLToPath(String(running.fleet.layout.fleet.checkpoints)), "v1/iad");
    const path = join(store, "img", chunk.slice(0, 2), chunk);
    writeFileSync(path, Buffer.from(readFileSync(path)).fill(0, 10, 50));
    const failed = await running.patina("checkpoint", "drill", id, "--region", "iad");
    expect(failed).toMatchObject({ status: 7, stderr: expect.stringContaining("checkpoint-damaged") as string });
    expect(existsSync(join(store, "v", id))).toBe(false);
    expect(existsSync(join(store, "damaged", chunk.slice(0, 2), `${chunk}.json`))).toBe(true);
    await created();
    await patina(0, "checkpoint", "drill", "--region", "iad");
    await patina(7, "checkpoint", "verify", id, "--region", "iad"); // One chunk, of which the new base has another.
  },
);

test("prune says what stays and why, and does nothing unless told to", { timeout: 60_000 }, async () => {
  const [report] = await patina<{ isDryRun: boolean; keep: unknown[]; go: unknown[] }[]>(
    0,
    "checkpoint",
    "prune",
    "--region",
    "iad",
  );
  expect(report).toMatchObject({ isDryRun: true, go: [] });
  expect(must(report, "a report").keep.length).toBeGreaterThan(0);
  await patina(0, "checkpoint", "prune", "--yes", "--region", "iad");
  const text = (await running.patina("checkpoint", "prune", "--region", "iad")).stdout;
  expect(text).toContain("the newest");
});

/** ops/runbooks/lost-bucket.md, step by step. */
test("a lost bucket is noticed, nothing more is deleted, and a new one is filled", { timeout: 90_000 }, async () => {
  const store = fileURLToPath(must(running.fleet.layout.fleet.checkpoints, "a store"));
  expect((await running.patina("checkpoint", "verify", "--quick", "--region", "iad")).status).toBe(0);
  renameSync(join(store, "v1/iad"), join(store, "v1/iad-lost"));
  const verified = await patina<{ findings: { problem: string }[] }>(
    7,
    "checkpoint",
    "verify",
    "--quick",
    "--region",
    "iad",
  );
  expect(verified.findings.map(({ problem }) => problem)).toContain("missing");
  const refused = await running.patina("checkpoint", "prune", "--yes", "--region", "iad");
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining("retention-refused") as string });
  await created();
  await patina(0, "checkpoint", "drill", "--region", "iad");
  await until("all is known to be there", async () => (await info()).lost.length === 0, 30_000);
  expect((await running.patina("checkpoint", "verify", "--quick", "--region", "iad")).status).toBe(0);
  expect(existsSync(join(store, "v1/iad/v"))).toBe(true);
});
