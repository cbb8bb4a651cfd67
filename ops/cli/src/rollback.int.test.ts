/** Taking things back on real processes: checkpoints taken unasked, a lost node, bad data that spread, a lost index. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestsOf, isEqual, settle } from "./fleet/settle.js";
import { anyRouter } from "./fleet/reach.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

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
      const newest = must((await checkpoints(region)).at(-1), "a checkpoint");
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
    expect(notes.rows).toEqual([["base"], ["d0"]]);
  });

  test("a node that lost its disk begins from the newest, and has what was written since", async () => {
    await covered("iad");
    const lost = agent("iad", 2);
    await running.fleet.supervisor.kill(lost.name);
    rmSync(must(lost.node_dir, "a directory"), { recursive: true });
    await client("iad", 0).transact([start("m4", "web")]);
    running.fleet.supervisor.start(lost.name);
    await running.fleet.supervisor.ready();
    await equal("iad", 3);
    expect(await cpusOf(client("iad", 2), "web")).toHaveLength(4);
    const placed = must(running.fleet.layout.agents.find(({ name }) => name === lost.name), "placed"); // prettier-ignore
    expect(logOf(placed.log)).toContain("this node begins from a checkpoint");
  });
});

describe("bad data that spread", { timeout: 180_000 }, () => {
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

    const plan = await patina<{ rows: Record<string, number> }>("region", "rollback", "iad", "--to", id, "--dry-run");
    expect(plan.rows).toEqual({ machines: 102 });
    const done = await patina<{ generation: number; agents: { state: string }[] }>("region", "rollback", "iad", "--to", id, "--reason", "poison"); // prettier-ignore
    expect(done.generation).toBe(2);
    expect(done.agents.map(({ state }) => state)).toEqual(["begun anew", "begun anew", "unreachable"]);
    expect(await cpusOf(client("iad", 0), "bank")).toEqual([["good", 7]]);

    running.fleet.supervisor.start(agent("iad", 2).name);
    await running.fleet.supervisor.ready();
    await equal("iad", 3);
    expect(await cpusOf(client("iad", 2), "bank")).toEqual([["good", 7]]);
    expect(await digestsOf("fra", agents("fra"))).toEqual(other);

    const poisoner = (await client("iad", 1).request<{ node: string }>("/v1/digest")).node;
    const salvaged = agents("iad").map(({ node_dir: dir }) => `${must(dir, "a directory")}.replaced-by-generation-2/salvage.ndjson`); // prettier-ignore
    expect(salvaged.filter((path) => !existsSync(path))).toEqual([]);
    await patina("salvage", "replay", ...salvaged, "--region", "iad", "--except-origin", poisoner);
    await equal("iad", 3);
    for (const i of [0, 1, 2]) expect(await cpusOf(client("iad", i), "bank")).toEqual([["good", 7], ["later", 8]]); // prettier-ignore
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
  });

  test("a rollback to before the first checkpoint is refused, and takes nothing back", async () => {
    const unknown = await running.patina("region", "rollback", "iad", "--to", "2020-01-01T00:00:00Z");
    expect(unknown.status).toBe(3);
    const home = dirname(must(agent("iad", 0).node_dir, "a directory"));
    expect(readdirSync(home).filter((name) => name.includes("generation-3"))).toEqual([]);
  });
});

describe("a lost global tier", { timeout: 180_000 }, () => {
  test("is rebuilt from the regions alone", async () => {
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
    const done = await patina<{ generation: number }>("global", "rebuild");
    expect(done.generation).toBe(2);
    expect(await settle(file(), await anyRouter(file()), 60_000)).toBeUndefined();
    const router = await anyRouter(file());
    const found = await router.request<{ result: string }>("/v1/apps/bank/placement");
    expect(found.result).toBe("found");
  });

  test("comes back from its checkpoint, and the regions put right what has changed since", async () => {
    await patina("checkpoint", "create", "--global");
    await client("fra", 0).transact([start("f1", "after")]);
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
    await Promise.all(file().global.map(async ({ name }) => running.fleet.supervisor.kill(name)));
    for (const { node_dir: dir } of file().global) rmSync(must(dir, "a directory"), { recursive: true });
    await patina("global", "restore", "--from", "latest");
    expect(await settle(file(), await anyRouter(file()), 60_000)).toBeUndefined();
    const found = await (await anyRouter(file())).request<{ result: string }>("/v1/apps/after/placement");
    expect(found.result).toBe("found");
  });
});

function logOf(path: string): string {
  return readFileSync(path, "utf8");
}
