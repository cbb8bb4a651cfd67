/** The three jobs on real processes: a fleet of two regions and a global tier, hurt in the ways that fleets are. */
import { rmSync } from "node:fs";
import { must } from "@patina/base";
import { PatinaClient, placementDocument } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkIndex, digestsOf, isEqual, settle } from "./fleet/settle.js";
import { anyRouter } from "./fleet/reach.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let test_: TestFleet;

beforeAll(async () => {
  test_ = await startTestFleet(["iad", "fra"]);
}, 90_000);

afterAll(async () => {
  await test_.stop();
}, 60_000);

const file = () => test_.fleet.layout.fleet;
const agents = (region: string) => must(file().regions[region], region);
const client = (region: string, i: number) => new PatinaClient(must(agents(region)[i], "an agent").api);
const insert = (id: string, app: string) => [
  "INSERT INTO machines (id, app, state) VALUES (?, ?, 'started')",
  [id, app],
];

async function has(on: PatinaClient, id: string): Promise<boolean> {
  const { rows } = await on.query(["SELECT 1 FROM machines WHERE id = ?", [id]]).catch(() => ({ rows: [] }));
  return rows.length === 1;
}

async function equal(region: string): Promise<void> {
  await until(`${region} is equal`, async () => isEqual(await digestsOf(region, agents(region))));
}

describe("operate regional clusters", { timeout: 60_000 }, () => {
  test("a write on one agent is readable on the other two, and in no other region", async () => {
    await client("iad", 0).transact([insert("w1", "web")]);
    await until("it is on the others", async () => (await has(client("iad", 1), "w1")) && has(client("iad", 2), "w1"));
    expect(await has(client("fra", 0), "w1")).toBe(false);
  });

  test("kill -9 in the middle of writes loses no acknowledged write, anywhere", async () => {
    const acknowledged: string[] = [];
    const victim = must(agents("iad")[0], "an agent").name;
    const writing = Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let i = 0; i < 400; i++) {
          const id = `k-${lane}-${i}`;
          const done = await client("iad", 0)
            .transact([insert(id, "kill")])
            .then(
              () => true,
              () => false,
            );
          if (!done) return;
          acknowledged.push(id);
        }
      }),
    );
    await until("writes are under way", async () => acknowledged.length > 100);
    await test_.fleet.supervisor.kill(victim);
    await writing;
    test_.fleet.supervisor.start(victim);
    await test_.fleet.supervisor.ready();
    await equal("iad");
    for (const i of [0, 1, 2]) {
      const { rows } = await client("iad", i).query("SELECT id FROM machines WHERE app = 'kill'");
      const ids = new Set(rows.map(([id]) => id));
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    }
  });

  test("an agent that was down comes back to what was written meanwhile", async () => {
    const { name } = must(agents("fra")[2], "an agent");
    await test_.fleet.supervisor.stop(name);
    await client("fra", 0).transact([insert("d1", "down"), "DELETE FROM machines WHERE id = 'nobody'"]);
    test_.fleet.supervisor.start(name);
    await test_.fleet.supervisor.ready();
    await until("it has it", () => has(client("fra", 2), "d1"));
    await equal("fra");
  });
});

/** What its description in `/v1/openapi.json` does not allow is no answer. */
async function resolve(app: string, query = "", of?: PatinaClient) {
  const asked = of ?? (await anyRouter(file()));
  return placementDocument.parse(await asked.request(`/v1/apps/${app}/placement${query}`, { accept: [404, 503] }));
}

describe("resolve an app through the global index", { timeout: 60_000 }, () => {
  test("an app is found in exactly the regions that have it, and absent when none has", async () => {
    await client("iad", 1).transact([insert("p1", "pair")]);
    await client("fra", 1).transact([insert("p2", "pair"), insert("p3", "pair")]);
    await until("both regions are indexed", async () => (await resolve("pair")).regions.length === 2);
    const placement = await resolve("pair");
    expect(placement.result).toBe("found");
    const said = placement.regions.map(({ region, grade, instances }) => `${region} ${grade} ${instances.length}`);
    expect(said.toSorted()).toEqual(["fra live 2", "iad live 1"]);
    await until("nobody is absent", async () => (await resolve("nobody")).result === "absent");
  });

  test("a region's agent answers for its own region, and asks a router for the others", async () => {
    const iad = client("iad", 2);
    await until("it is here", async () => (await resolve("pair", "", iad)).regions.length === 1);
    expect(await resolve("pair", "", iad)).toMatchObject({ result: "found", complete: false, missing: [] });
    const everywhere = await resolve("pair", "?everywhere=true", iad);
    expect(everywhere.regions.map(({ region }) => region)).toEqual(["iad", "fra"]);
    expect((await resolve("nobody", "", iad)).result).toBe("absent");
  });

  test("updates without a transition write no row to the index; the last machine's end withdraws it", async () => {
    const rowsWritten = async (): Promise<number> => {
      const counts = await Promise.all(
        file().global.map(({ api }) => new PatinaClient(api).request<{ rows_written: number }>("/v1/index")),
      );
      return counts.reduce((sum, { rows_written: rows }) => sum + rows, 0);
    };
    await client("iad", 0).transact([insert("q1", "quiet"), insert("q2", "quiet")]);
    await until("it is indexed", async () => (await resolve("quiet")).result === "found");
    // Two borders may tell two global agents of one transition, before those have told each other.
    expect(await settle(file(), await anyRouter(file()), 10_000)).toBeUndefined();
    const before = await rowsWritten();
    for (let i = 0; i < 50; i++) {
      await client("iad", i % 3).transact([["UPDATE machines SET cpus = ? WHERE app = 'quiet'", [i + 1]]]);
    }
    await client("iad", 0).transact(["DELETE FROM machines WHERE id = 'q2'"]);
    await equal("iad");
    expect(await settle(file(), await anyRouter(file()), 10_000)).toBeUndefined();
    expect(await rowsWritten()).toBe(before);
    await client("iad", 2).transact(["DELETE FROM machines WHERE app = 'quiet'"]);
    await until("it is denied at once", async () => (await resolve("quiet")).result === "absent");
    await until("and withdrawn after the hold-down", async () => (await rowsWritten()) > before);
    expect(await rowsWritten()).toBe(before + 1);
  });

  test("with every global agent dead the regions go on, and come back into the index", async () => {
    const names = file().global.map(({ name }) => name);
    await Promise.all(names.map((name) => test_.fleet.supervisor.kill(name)));
    await client("iad", 0).transact([insert("g1", "alone")]);
    await client("fra", 0).transact(["DELETE FROM machines WHERE id = 'd1'"]);
    await until("the region goes on", () => has(client("iad", 2), "g1"));
    for (const name of names) test_.fleet.supervisor.start(name);
    await test_.fleet.supervisor.ready();
    await until("the index is true again", async () => {
      const { ghosts, missing } = await checkIndex(file(), await anyRouter(file()));
      return ghosts.length + missing.length === 0;
    });
    expect((await resolve("alone")).result).toBe("found");
  });

  test("a region that is gone costs no other region's rows", async () => {
    for (const { name } of agents("fra")) await test_.fleet.supervisor.kill(name);
    const placement = await resolve("pair");
    expect(placement.result).toBe("found");
    expect(placement.regions.find(({ region }) => region === "iad")?.grade).toBe("live");
    expect(placement.regions.find(({ region }) => region === "fra")?.grade).not.toBe("live");
    const query = await test_.patina("query", "--all", "SELECT count(*) FROM machines", "-o", "json");
    expect(query.status).toBe(4);
    const { answered, missing } = JSON.parse(query.stdout) as { answered: string[]; missing: { region: string }[] };
    expect([answered, missing.map(({ region }) => region)]).toEqual([["iad"], ["fra"]]);
    for (const { name } of agents("fra")) test_.fleet.supervisor.start(name);
    await test_.fleet.supervisor.ready();
    await equal("fra");
  });
});

describe("restore a region from a checkpoint", { timeout: 90_000 }, () => {
  test("with every data directory gone it comes back with the same digest, as a new generation", async () => {
    await equal("iad");
    const [before] = await digestsOf("iad", agents("iad"));
    expect((await test_.patina("checkpoint", "create", "--region", "iad")).status).toBe(0);
    expect((await test_.patina("checkpoint", "create", "--region", "fra")).status).toBe(0);
    const { status, stdout } = await test_.patina("checkpoint", "verify");
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^iad .* objects\nfra .* objects\n/)]);
    for (const { name, node_dir: dir } of agents("iad")) {
      await test_.fleet.supervisor.kill(name);
      rmSync(must(dir, "a directory"), { recursive: true });
    }
    const restored = await test_.patina("region", "restore", "iad", "--from", "latest", "-o", "json");
    expect(restored.stderr).not.toContain("internal");
    expect(restored.status).toBe(0);
    const { generation } = JSON.parse(restored.stdout) as { generation: number };
    expect(generation).toBe(2);
    await equal("iad");
    expect((await digestsOf("iad", agents("iad"))).map(({ digest }) => digest)).toEqual(Array(3).fill(before?.digest));
    await client("iad", 1).transact([insert("after", "after")]);
    await until("it lives", async () => (await resolve("after")).result === "found");
    expect(await settle(file(), await anyRouter(file()), 20_000)).toBeUndefined();
  });

  test("it never replaces data that is there unless told to, and then keeps it aside", async () => {
    const refused = await test_.patina("region", "restore", "iad", "--from", "latest");
    expect(refused.status).toBe(6);
    expect(refused.stderr).toContain("data-dir-not-empty");
    const replaced = await test_.patina("region", "restore", "iad", "--from", "latest", "--replace", "-o", "json");
    expect(replaced.status).toBe(0);
    const { generation, agents: list } = JSON.parse(replaced.stdout) as {
      generation: number;
      agents: { quarantine: string }[];
    };
    expect(generation).toBe(3);
    for (const { quarantine } of list) expect(quarantine).toContain("replaced-by-generation-3");
    expect(await has(client("iad", 0), "after")).toBe(false);
    await until(
      "what came after the checkpoint is withdrawn",
      async () => (await resolve("after")).result === "absent",
    );
  });
});
