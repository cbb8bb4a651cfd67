/** Getting things back on real processes, by the runbooks: a lost node, bad data that spread, a lost index, a lost region. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestsOf, isEqual, settle } from "./fleet/settle.js";
import { anyRouter } from "./fleet/reach.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";
import { Runbook } from "./testing/runbook.js";

let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad", "fra"], 300, { checkpointSchedule: "* * * * * *" });
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

interface Entry {
  readonly id: string;
  readonly level: string;
}

const file = () => running.fleet.layout.fleet;
const agents = (region: string) => must(file().regions[region], region);
const agent = (region: string, i: number) => must(agents(region)[i], "an agent");
const client = (region: string, i: number) => new PatinaClient(agent(region, i).api);
const start = (id: string, app: string, cpus = 1) => [
  "INSERT INTO machines (id, app, state, cpus) VALUES (?, ?, 'started', ?) ON CONFLICT DO UPDATE SET cpus = excluded.cpus",
  [id, app, cpus],
];

async function patina<T>(...args: string[]): Promise<T> {
  const ran = await running.patina(...args, "-o", "json");
  expect(`${ran.status} ${ran.stderr}`).toMatch(/^0 /);
  return JSON.parse(ran.stdout) as T;
}

const checkpoints = (region: string) => patina<Entry[]>("checkpoint", "list", "--region", region);
const cpusOf = async (on: PatinaClient, app: string): Promise<unknown[][]> =>
  (await on.query(["SELECT id, cpus FROM machines WHERE app = ? ORDER BY id", [app]])).rows;

async function equal(region: string, count: number): Promise<void> {
  const those = agents(region).slice(0, count);
  await until(`${region} is equal`, async () => isEqual(await digestsOf(region, those)));
}

/** Some checkpoint has the state that the region has now. */
async function covered(region: string): Promise<string> {
  let id = "";
  await until(
    "a checkpoint has it",
    async () => {
      const { digest } = await client(region, 0).request<{ digest: string }>("/v1/digest");
      const newest = (await checkpoints(region)).at(-1);
      if (newest === undefined) return false; // None is taken before the first change is a while old.
      id = newest.id;
      return (await patina<{ digest: string }>("checkpoint", "show", id, "--region", region)).digest === digest;
    },
    60_000,
  );
  return id;
}

describe("checkpoints taken unasked", { timeout: 120_000 }, () => {
  test("a base, then a delta for what changed, each once in the whole region", async () => {
    await client("iad", 0).transact([start("m1", "web"), start("m2", "web")]);
    await covered("iad");
    await client("iad", 1).transact([start("m3", "web")]);
    await covered("iad");
    const levels = (await checkpoints("iad")).map(({ level }) => level);
    expect(levels[0]).toBe("base");
    expect(levels).toContain("d0");
    expect(levels.filter((level) => level === "base")).toHaveLength(1);
    const notes = await client("iad", 2).query("SELECT level FROM _patina_rows__patina_checkpoints ORDER BY level");
    expect(notes.rows).toEqual(expect.arrayContaining([["base"], ["d0"]]));
  });

  test("a store that lost everything gets a base by itself, with the next change", async () => {
    await client("fra", 0).transact([start("l1", "kept")]);
    await covered("fra");
    const store = fileURLToPath(must(file().checkpoints, "a store"));
    renameSync(join(store, "v1/fra"), join(store, "v1/fra-lost"));
    await client("fra", 0).transact([start("l2", "kept")]);
    await until("there is a base", async () => (await checkpoints("fra"))[0]?.level === "base", 60_000);
    const newest = await covered("fra");
    expect((await running.patina("checkpoint", "verify", newest, "--region", "fra")).stdout).toContain("whole");
  });

  test("a node that lost its disk begins from the newest, and has what was written since", async () => {
    await covered("iad");
    const lost = agent("iad", 2);
    const steps = new Runbook("lost-node", running.patina);
    await running.fleet.supervisor.kill(lost.name);
    await until("the others know", async () => {
      const { members } = await client("iad", 0).request<{ members: { state: string }[] }>("/v1/members");
      return members.some(({ state }) => state === "dead");
    });
    expect(await steps.next("members", { REGION: "iad" })).toMatch(/dead/);
    rmSync(must(lost.node_dir, "a directory"), { recursive: true });
    await client("iad", 0).transact([start("m4", "web")]);
    running.fleet.supervisor.start(lost.name);
    await running.fleet.supervisor.ready();
    await equal("iad", 3);
    expect(await cpusOf(client("iad", 2), "web")).toHaveLength(4);
    await steps.next("verify", { REGION: "iad" });
    expect(steps.left).toEqual([]);
    const placed = must(running.fleet.layout.agents.find(({ name }) => name === lost.name), "placed"); // prettier-ignore
    expect(logOf(placed.log)).toContain("this node begins from a checkpoint");
  });
});

describe("bad data that spread", { timeout: 300_000 }, () => {
  test("a rollback takes it back everywhere, from one who was away as well, and good writes are written again", async () => {
    await client("iad", 0).transact([start("good", "bank", 7)]);
    await equal("iad", 3);
    const id = await covered("iad");
    const other = await digestsOf("fra", agents("fra"));

    // Poison from one member; good writes by another; and one goes away with poison nobody else has.
    for (let i = 0; i < 100; i++) await client("iad", 1).transact([start(`p${i}`, "bank", 666)]);
    await client("iad", 1).transact([start("good", "bank", 666)]);
    await client("iad", 0).transact([start("later", "bank", 8)]);
    await equal("iad", 3);
    await running.fleet.supervisor.kill(agent("iad", 2).name);
    expect(await cpusOf(client("iad", 0), "bank")).toHaveLength(102);

    const steps = new Runbook("bad-data", running.patina);
    const iad = { REGION: "iad", CHECKPOINT: id };
    expect(await steps.next("checkpoint list", iad)).toContain(id);
    expect(await steps.next("region rollback", iad)).toMatch(/machines +102/);
    const told = await steps.next("region rollback", iad);
    expect(told).toContain("iad is generation 2");
    expect(told.match(/begun anew/g)).toHaveLength(2);
    expect(told.match(/unreachable/g)).toHaveLength(1);
    expect(await cpusOf(client("iad", 0), "bank")).toEqual([["good", 7]]);

    running.fleet.supervisor.start(agent("iad", 2).name);
    await running.fleet.supervisor.ready();
    await equal("iad", 3);
    expect(await cpusOf(client("iad", 2), "bank")).toEqual([["good", 7]]);
    expect(await digestsOf("fra", agents("fra"))).toEqual(other);

    const poisoner = (await client("iad", 1).request<{ node: string }>("/v1/digest")).node;
    const salvaged = agents("iad").map(({ node_dir: dir }) => `${must(dir, "a directory")}.replaced-by-generation-2/salvage.ndjson`); // prettier-ignore
    expect(salvaged.filter((path) => !existsSync(path))).toEqual([]);
    expect(await steps.next("salvage list", { SALVAGE: salvaged })).toContain(poisoner);
    await steps.next("salvage replay", { ...iad, SALVAGE: salvaged, WRITER: poisoner });
    await equal("iad", 3);
    for (const i of [0, 1, 2]) expect(await cpusOf(client("iad", i), "bank")).toEqual([["good", 7], ["later", 8]]); // prettier-ignore
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
    await steps.next("verify");
    expect(steps.left).toEqual([]);
  });

  test("a rollback to before the first checkpoint is refused, and takes nothing back", async () => {
    const unknown = await running.patina("region", "rollback", "iad", "--to", "2020-01-01T00:00:00Z");
    expect(unknown.status).toBe(3);
    const home = dirname(must(agent("iad", 0).node_dir, "a directory"));
    expect(readdirSync(home).filter((name) => name.includes("generation-3"))).toEqual([]);
  });
});

describe("a lost global tier", { timeout: 300_000 }, () => {
  test("is rebuilt from the regions alone, or comes back from its checkpoint and is put right by them", async () => {
    const steps = new Runbook("lost-global-tier", running.patina);
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
    expect(await steps.next("global rebuild")).toContain("global is generation 2");
    expect(await settle(file(), await anyRouter(file()), 60_000)).toBeUndefined();
    expect(await resultOf("bank")).toBe("found");

    await patina("checkpoint", "create", "--global");
    await client("fra", 0).transact([start("f1", "after")]);
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
    await Promise.all(file().global.map(async ({ name }) => running.fleet.supervisor.kill(name)));
    for (const { node_dir: dir } of file().global) rmSync(must(dir, "a directory"), { recursive: true });
    await steps.next("global restore");
    expect(await settle(file(), await anyRouter(file()), 60_000)).toBeUndefined();
    expect(await resultOf("after")).toBe("found");
    await steps.next("verify");
    expect(steps.left).toEqual([]);
  });
});

describe("a lost region", { timeout: 300_000 }, () => {
  test("comes back from its newest checkpoint, and the index with it", async () => {
    await client("fra", 0).transact([start("f2", "back")]);
    await equal("fra", 3);
    await covered("fra");
    const before = await digestsOf("fra", agents("fra"));
    await Promise.all(agents("fra").map(async ({ name }) => running.fleet.supervisor.kill(name)));
    for (const { node_dir: dir } of agents("fra")) rmSync(must(dir, "a directory"), { recursive: true });
    const steps = new Runbook("lost-region", running.patina);
    const fra = { REGION: "fra" };
    await steps.next("checkpoint list", fra);
    expect(await steps.next("checkpoint verify", fra)).toContain("whole");
    expect(await steps.next("region restore", fra)).toContain("generation");
    expect(await steps.next("region restore", fra)).toContain("as generation 2");
    await equal("fra", 3);
    expect(await digestsOf("fra", agents("fra"))).toEqual(before);
    expect(await settle(file(), await anyRouter(file()), 60_000)).toBeUndefined();
    await steps.next("verify");
    expect(steps.left).toEqual([]);
    expect(await resultOf("back")).toBe("found");
  });
});

async function resultOf(app: string): Promise<string> {
  const router = await anyRouter(file());
  return (await router.request<{ result: string }>(`/v1/apps/${app}/placement`, { accept: [404, 503] })).result;
}

function logOf(path: string): string {
  return readFileSync(path, "utf8");
}
