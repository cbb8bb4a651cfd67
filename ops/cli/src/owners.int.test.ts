/** Rows with owners on real agents: they change hands while processes are killed, and the one that comes too late is told. */
import { type AppError, must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestsOf, isEqual } from "./fleet/settle.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

const TABLES = `
-- @owner worker
CREATE TABLE jobs (id TEXT NOT NULL PRIMARY KEY, worker TEXT NOT NULL DEFAULT '', n INTEGER NOT NULL DEFAULT 0);
-- @owner worker
CREATE TABLE volumes (host TEXT NOT NULL, slot INTEGER NOT NULL, worker TEXT, PRIMARY KEY (host, slot));
`;
const NAMES = ["iad-1", "iad-2", "iad-3"];
let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
  const { sql } = await client(0).request<{ sql: string }>("/v1/schema");
  await client(0).request("/v1/schema", { method: "POST", body: sql + TABLES });
  await until("all have the tables", async () => {
    const found = await Promise.all(
      NAMES.map((_, i) =>
        client(i)
          .query("SELECT 1 FROM jobs")
          .catch(() => undefined),
      ),
    );
    return found.every((it) => it !== undefined);
  });
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

const agents = () => must(running.fleet.layout.fleet.regions["iad"], "a region");
const client = (i: number): PatinaClient => new PatinaClient(must(agents()[i], "an agent").api);
const nameOf = (i: number): string => must(NAMES[i], "a name");

/** The code it is refused with, or `ok`. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "ok",
    (thrown: unknown) => (thrown as AppError).code,
  );
}
const write = (i: number, id: string, n: number) => client(i).transact([["UPDATE jobs SET n = ? WHERE id = ?", [n, id]]]); // prettier-ignore
async function jobAt(i: number, id: string): Promise<readonly unknown[] | undefined> {
  const { rows } = await client(i).query(["SELECT worker, n FROM jobs WHERE id = ?", [id]]);
  return rows[0];
}
async function start(...names: string[]): Promise<void> {
  for (const name of names) running.fleet.supervisor.start(name);
  await running.fleet.supervisor.ready();
}
async function equal(): Promise<void> {
  await until("all are equal", async () => isEqual(await digestsOf("iad", agents())));
}

describe("the command line", { timeout: 60_000 }, () => {
  test("hands a row over at whichever agent owns it, and refuses with a conflict where nobody may", async () => {
    await client(0).transact(["INSERT INTO jobs (id, worker) VALUES ('cli', 'iad-1')", "INSERT INTO volumes VALUES ('h', 1, 'iad-1')"]); // prettier-ignore
    await equal();
    const given = await running.patina("handoff", "jobs", "cli", "--to", "iad-3", "--region", "iad", "-o", "json");
    expect(JSON.parse(given.stdout)).toMatchObject({ rows: [{ table: "jobs", key: ["cli"], owner: "iad-3", epoch: 1 }] }); // prettier-ignore
    await equal();
    expect(await codeOf(write(0, "cli", 9))).toBe("not-owner");
    const refused = await running.patina("handoff", "jobs", "cli", "--to", "iad-2", "--region", "iad", "--agent", "iad-1"); // prettier-ignore
    expect([refused.status, refused.stderr]).toEqual([6, expect.stringContaining("not-owner: jobs")]);
    const taken = await running.patina("claim", "jobs", "cli", "--region", "iad", "--agent", "iad-2");
    expect([taken.status, taken.stdout]).toEqual([0, expect.stringMatching(/cli\s+iad-2\s+2/)]);
    const pair = await running.patina("handoff", "volumes", "h,1", "--to", "iad-2", "--region", "iad");
    expect(pair.status).toBe(0);
    const usage = [["claim", "jobs", "none", "--region", "iad"], ["handoff", "jobs", "cli", "--region", "iad"], ["claim", "machines", "m", "--region", "iad"]]; // prettier-ignore
    const statuses = await Promise.all(usage.map(async (args) => (await running.patina(...args)).status));
    expect(statuses).toEqual([3, 2, 2]);
  });

  test("lists nothing while nothing is contested", async () => {
    const { stdout } = await running.patina("handoff", "list", "--region", "iad", "-o", "json");
    const { agents: reports } = JSON.parse(stdout) as { agents: object[] };
    expect(reports).toMatchObject(NAMES.map((name) => ({ agent: name, worker: name, doubtful: [], fenced: [] })));
  });
});

describe("kill -9 in the middle of a hand-over", { timeout: 300_000 }, () => {
  test("of source or target leaves one owner, whom all agree on, and loses no write it acknowledged", async () => {
    await client(0).transact(["INSERT INTO jobs (id, worker) VALUES ('m', 'iad-1')"]);
    await equal();
    const counts = { handed: 0, kept: 0 };
    let owner = 0;
    for (let round = 0; round < 8; round++) {
      const target = (owner + 1 + (round % 2)) % 3;
      const victim = round % 4 < 2 ? owner : target;
      const { acknowledged, isHanded } = await handOverAndKill(owner, target, victim, round);
      await start(nameOf(victim));
      await equal();
      const states = await Promise.all(NAMES.map((_, i) => jobAt(i, "m")));
      const [worker, n] = must(states[0], "the job");
      for (const state of states) expect(state).toEqual([worker, n]);
      expect(Number(n)).toBeGreaterThanOrEqual(acknowledged);
      if (isHanded) expect(worker).toBe(nameOf(target));
      expect([nameOf(owner), nameOf(target)]).toContain(worker);
      counts[worker === nameOf(target) ? "handed" : "kept"]++;
      owner = NAMES.indexOf(String(worker));
      const codes = await Promise.all(NAMES.map((_, i) => codeOf(write(i, "m", Number(n) + 1 + i))));
      expect(codes).toEqual(NAMES.map((name) => (name === worker ? "ok" : "not-owner")));
      await equal();
    }
    process.stdout.write(`owners: ${JSON.stringify(counts)} of 8 hand-overs with a kill\n`);
    expect(counts.handed).toBeGreaterThan(0);
  });
});

/** The owner writes all the time, hands over, and somebody is killed at about that moment. */
async function handOverAndKill(
  owner: number,
  target: number,
  victim: number,
  round: number,
): Promise<{ acknowledged: number; isHanded: boolean }> {
  let acknowledged = round * 1000;
  const writing = (async () => {
    for (let n = acknowledged + 1; n < (round + 1) * 1000; n++) {
      if ((await codeOf(write(owner, "m", n))) !== "ok") return;
      acknowledged = n;
    }
  })();
  await until("it writes", async () => acknowledged > round * 1000 + 10);
  const body = { table: "jobs", key: "m", to: nameOf(target) };
  const handing = codeOf(client(owner).request("/v1/handoffs", { method: "POST", body }));
  if (round >= 4) await handing; // The first half are killed while it is under way, the others when it is just done.
  await running.fleet.supervisor.kill(nameOf(victim));
  const isHanded = (await handing) === "ok";
  await writing;
  return { acknowledged, isHanded };
}

describe("a worker that was cut off", { timeout: 120_000 }, () => {
  test("finds that its row was claimed: its late write never shows, and it is told", async () => {
    await client(0).transact(["INSERT INTO jobs (id, worker) VALUES ('late', 'iad-1')"]);
    await equal();
    await running.fleet.supervisor.stop("iad-2");
    await running.fleet.supervisor.stop("iad-3");
    await write(0, "late", 66);
    await running.fleet.supervisor.kill("iad-1");
    await start("iad-2", "iad-3");
    const { stdout } = await running.patina("claim", "jobs", "late", "--region", "iad", "--agent", "iad-2");
    expect(stdout).toMatch(/late\s+iad-2\s+1/);
    await start("iad-1");
    await equal();
    for (const i of [0, 1, 2]) expect(await jobAt(i, "late")).toEqual(["iad-2", 0]);
    const report = await client(0).request("/v1/handoffs");
    expect(report).toMatchObject({ worker: "iad-1", fenced: [{ table: "jobs", key: ["late"], owner: "iad-2", epoch: 1 }] }); // prettier-ignore
    const metrics = await (await fetch(`${must(agents()[0], "an agent").api}/metrics`)).text();
    expect(metrics).toContain('patina_fenced_writes_total{writer="self"} 1');
    const listed = await running.patina("handoff", "list", "--region", "iad");
    expect(listed.stdout).toMatch(/iad-1\s+fenced\s+jobs\s+late\s+iad-2/);
  });
});
