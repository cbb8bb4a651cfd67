/** One agent as its users meet it: over HTTP with curl, on its file with sqlite3, and when it is started wrongly. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand, runPatina, startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

const agent = () =>
  must(
    running.fleet.layout.agents.find(({ name }) => name === "iad-1"),
    "an agent",
  );

async function curl(path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const data = body === undefined ? [] : ["-d", typeof body === "string" ? body : JSON.stringify(body)];
  const { stdout } = await runCommand("curl", ["-sS", "-m", "20", "-w", "\n%{http_code}", ...data, agent().api + path]);
  const lines = stdout.split("\n");
  return { status: Number(lines.pop()), text: lines.join("\n") };
}

describe("HTTP, by curl", { timeout: 30_000 }, () => {
  test("a transaction answers in Corrosion's shape, and a query streams NDJSON", async () => {
    const statements = [
      "INSERT INTO machines (id, app) VALUES ('c0', 'curl')",
      ["INSERT INTO machines (id, app, cpus) VALUES (?, ?, ?)", ["c1", "curl", 4]],
      {
        query: "UPDATE machines SET state = :state WHERE app = :app",
        named_params: { ":state": "started", app: "curl" },
      },
    ];
    const written = JSON.parse((await curl("/v1/transactions", statements)).text) as Record<string, unknown>;
    expect(written["results"]).toMatchObject([{ rows_affected: 1 }, { rows_affected: 1 }, { rows_affected: 2 }]);
    expect(written["version"]).toBe(2); // The first one enlisted the agent.
    expect(written["actor_id"]).toMatch(/^[0-9a-f]{48}$/);
    const { text } = await curl("/v1/queries", ["SELECT id, cpus FROM machines WHERE app = ? ORDER BY id", ["curl"]]);
    const events = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.slice(0, 3)).toEqual([{ columns: ["id", "cpus"] }, { row: [1, ["c0", 0]] }, { row: [2, ["c1", 4]] }]);
    expect(events[3]).toHaveProperty("eoq.time");
  });

  test("whole objects are put and deleted, and one that is as it was makes no version", async () => {
    const client = new PatinaClient(agent().api);
    const put = (body: unknown) => client.request("/v1/tables/machines/rows", { method: "PUT", body });
    const rows = [
      { id: "o1", app: "objects", cpus: 4 },
      { id: "o2", app: "objects" },
    ];
    expect(await put(rows)).toMatchObject({ rows_changed: 2 });
    expect(await put(rows)).toMatchObject({ rows_changed: 0, version: null });
    expect(await put({ id: "o1", app: "objects", cpus: 8 })).toMatchObject({ rows_changed: 1 });
    await expect(put({ id: "o3", nothing: 1 })).rejects.toMatchObject({ code: "sql-error" });
    await expect(put({ app: "objects" })).rejects.toMatchObject({ code: "bad-request" });
    await expect(put([])).rejects.toMatchObject({ code: "bad-request" });
    const gone = await client.request("/v1/tables/machines/rows", {
      method: "DELETE",
      body: [{ id: "o2" }, { id: "none" }],
    });
    expect(gone).toMatchObject({ rows_changed: 1 });
    const { rows: left } = await client.query("SELECT id, cpus, state FROM machines WHERE app = 'objects'");
    expect(left).toEqual([["o1", 8, "created"]]);
  });

  test.each([
    ["/v1/transactions", [], 400, "bad-request"],
    ["/v1/transactions", "no json", 400, "bad-request"],
    ["/v1/transactions", ["DROP TABLE machines"], 403, "sql-not-allowed"],
    ["/v1/transactions", ["INSERT INTO machines (id) VALUES ('bad'), (NULL)"], 400, "sql-error"],
    ["/v1/transactions", ["INSERT INTO machines (id, state) VALUES ('bad', 'flying')"], 400, "sql-error"],
    ["/v1/queries", '"DELETE FROM machines"', 403, "sql-not-allowed"],
    ["/v1/queries", '"SELECT 1; SELECT 2"', 403, "sql-not-allowed"],
    ["/v1/queries", '"PRAGMA user_version"', 403, "sql-not-allowed"],
    ["/v1/queries", '"SELECT nothing FROM machines"', 400, "sql-error"],
    ["/v1/queries", "\"ATTACH 'x' AS y\"", 403, "sql-not-allowed"],
    ["/v1/subscriptions", '"SELECT count(*) FROM machines"', 400, "subscription-unsupported"],
    ["/v1/subscriptions/none", undefined, 404, "subscription-unknown"],
    ["/v1/checkpoints/none", undefined, 404, "checkpoint-unknown"],
    ["/v1/apps/nobody/instances", undefined, 404, "app-absent"],
    ["/v1/nothing", undefined, 404, "bad-request"],
  ])("%s with %j is refused with %i %s", async (path, body, status, code) => {
    const answer = await curl(path, body);
    expect(JSON.parse(answer.text)).toMatchObject({ status, code, type: `urn:patina:error:${code}` });
    expect(answer.status).toBe(status);
    const { rows } = await new PatinaClient(agent().api).query("SELECT id FROM machines WHERE id = 'bad'");
    expect(rows).toEqual([]);
  });

  test("an oversized body is refused before it is read", async () => {
    const path = join(running.dir, "large.json");
    writeFileSync(path, JSON.stringify(["x".repeat(9 << 20)]));
    expect((await curl("/v1/transactions", `@${path}`)).status).toBe(413);
  });

  test("a query past its deadline is ended and the agent goes on answering", async () => {
    const endless = '"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"';
    const slow = await curl("/v1/queries?timeout=0.3", endless);
    expect(slow.text).toContain("sql-deadline");
    expect((await curl("/v1/queries", '"SELECT 1"')).status).toBe(200);
  });

  test("a subscription sends the rows, then what changes", async () => {
    const client = new PatinaClient(agent().api);
    const events = client.events("/v1/subscriptions", {
      method: "POST",
      body: "SELECT id, state FROM machines WHERE app = 'live'",
      timeoutMs: 0,
    });
    const seen: Record<string, unknown>[] = [];
    const reading = (async () => {
      for await (const event of events) {
        seen.push(event);
        if (seen.length === 4) break;
      }
    })();
    await until("the rows are through", async () => seen.some((event) => event["eoq"] !== undefined));
    await client.transact(["INSERT INTO machines (id, app) VALUES ('l1', 'live')"]);
    await until("the insert is through", async () => seen.length === 3);
    await client.transact(["DELETE FROM machines WHERE id = 'l1'"]);
    await reading;
    expect(seen.slice(2)).toEqual([
      { change: ["insert", 1, ["l1", "created"], 1] },
      { change: ["delete", 1, ["l1", "created"], 2] },
    ]);
  });

  test("health, digest, members, schema and metrics answer", async () => {
    for (const path of ["/livez", "/readyz", "/v1/digest", "/v1/members", "/v1/schema"]) {
      expect((await curl(path)).status, path).toBe(200);
    }
    const { text } = await curl("/metrics");
    expect(text).toContain("patina_divergence_total 0");
    expect(text).toContain('patina_members{state="alive"} 2');
  });
});

test("sqlite3 on the file shows plain rows", { timeout: 20_000 }, async () => {
  await new PatinaClient(agent().api).transact(["INSERT INTO machines (id, app) VALUES ('s1', 'plain')"]);
  const sql = "SELECT * FROM machines WHERE app = 'plain' LIMIT 3";
  const { stdout } = await runCommand("sqlite3", ["-header", join(agent().node_dir, "state.db"), sql]);
  expect(stdout.split("\n").slice(0, 2)).toEqual([
    "id|app|worker|state|role|address|cpus|memory_mb|gpus|updated_ms",
    "s1|plain||created|||0|0|0|0",
  ]);
});

describe("started wrongly", { timeout: 30_000 }, () => {
  const MAIN = new URL("../../../regional/dist/main.js", import.meta.url).pathname;
  let serial = 0;

  async function start(change: (toml: string) => string, dir = join(running.dir, `wrong-${serial++}`)) {
    mkdirSync(dir, { recursive: true });
    const toml = `node_dir = "${join(dir, "node")}"
[cluster]
name = "iad"
[gossip]
address = "127.0.0.1:${19_000 + serial * 2}"
insecure = true
[api]
address = "127.0.0.1:${19_001 + serial * 2}"
`;
    const path = join(dir, "agent.toml");
    writeFileSync(path, change(toml));
    return runCommand(process.execPath, [MAIN, "--config", path]);
  }

  test.each([
    [
      "without a configuration that is there",
      (toml: string) => toml.replace("[cluster]", "[cluter]"),
      "config-invalid",
      "cluster",
    ],
    [
      "in plaintext without asking",
      (toml: string) => toml.replace("insecure = true", ""),
      "config-invalid",
      "insecure = true",
    ],
    [
      "in plaintext on the network",
      (toml: string) =>
        toml.replace(/address = "127[^"]*"/, 'address = "0.0.0.0:19999"\nadvertise = "127.0.0.1:19999"'),
      "config-invalid",
      "insecure_force",
    ],
    [
      "with a schema that is not there",
      (toml: string) => `${toml}[schema]\npaths = ["/nothing.sql"]\n`,
      "schema-invalid",
      "schema.paths",
    ],
  ])("%s it says why and exits 78", async (_what, change, code, hint) => {
    const { status, stderr } = await start(change);
    expect(stderr).toContain(code);
    expect(stderr).toContain(hint);
    expect(status).toBe(78);
  });

  test.each([
    ["CREATE TABLE t (id TEXT PRIMARY KEY)", "may be null"],
    ["CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, u TEXT UNIQUE)", "unique"],
    ["CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, p TEXT REFERENCES q (id))", "foreign key"],
    ["CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n TEXT NOT NULL)", "without a default"],
    ["CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP)", "not a constant"],
    ["CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "not allowed in a schema"],
    ["CREATE TABLE t (id", "does not compile"],
  ])("a schema of %s is refused with the rule", async (sql, rule) => {
    const path = join(running.dir, `schema-${serial}.sql`);
    writeFileSync(path, sql);
    const { status, stderr } = await start((toml) => `${toml}[schema]\npaths = ["${path}"]\n`);
    expect(stderr).toContain("schema-invalid");
    expect(stderr).toContain(rule);
    expect(status).toBe(78);
  });

  test("on a data directory that another process uses, or that is another cluster's", async () => {
    const dir = join(agent().node_dir, "..");
    const inUse = await start((toml) => toml.replace(/node_dir = .*/, `node_dir = "${agent().node_dir}"`));
    expect([inUse.status, inUse.stderr.includes("data-dir-in-use")]).toEqual([78, true]);
    await running.fleet.supervisor.stop("iad-1");
    const foreign = await start((toml) =>
      toml.replace(/node_dir = .*/, `node_dir = "${join(dir, "node")}"`).replace('"iad"', '"fra"'),
    );
    expect([foreign.status, foreign.stderr.includes("data-dir-foreign")]).toEqual([78, true]);
    running.fleet.supervisor.start("iad-1");
    await running.fleet.supervisor.ready();
  });

  test("on a port that is in use", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { status, stderr } = await start((toml) =>
      toml.replace(/(\[api\]\naddress = )"[^"]*"/, `$1"127.0.0.1:${port}"`),
    );
    taken.close();
    expect(stderr).toContain("port-in-use");
    expect(stderr).toContain(String(port));
    expect(status).toBe(78);
  });
});

describe("the command line", { timeout: 30_000 }, () => {
  test("tells success, a no, usage and a fault apart by its exit status", async () => {
    const { patina } = running;
    expect((await patina("verify")).status).toBe(0);
    await until(
      "the map is known to be complete",
      async () => (await patina("apps", "resolve", "nobody")).status === 3,
    );
    expect((await patina("checkpoint", "show", "latest", "--region", "iad")).status).toBe(3);
    expect((await patina("query", "--region", "nowhere", "SELECT 1")).status).toBe(3);
    expect((await patina("query", "SELEC 1")).status).toBe(1);
    expect((await patina("exec", "SELECT 1")).status).toBe(2);
    expect((await runPatina(["frobnicate"])).status).toBe(2);
    expect((await runPatina(["members", "--fleet", join(running.dir, "none.json")])).status).toBe(3);
  });

  test("prints the same as JSON for programs", async () => {
    const { patina } = running;
    await patina("exec", "--region", "iad", "INSERT INTO machines (id, app) VALUES (?, 'json')", "-p", "j1");
    const { stdout } = await patina(
      "query",
      "--region",
      "iad",
      "SELECT id FROM machines WHERE app = 'json'",
      "-o",
      "json",
    );
    expect(JSON.parse(stdout)).toMatchObject({ columns: ["region", "id"], rows: [["iad", "j1"]], missing: [] });
    const members = JSON.parse((await patina("members", "--region", "iad", "-o", "json")).stdout) as {
      members: unknown[];
    }[];
    expect(members[0]?.members.length).toBe(2);
  });

  test("finds damage in a checkpoint and refuses to restore from it, touching nothing", async () => {
    const { patina, dir } = running;
    expect((await patina("checkpoint", "create", "--region", "iad")).status).toBe(0);
    rmSync(join(dir, "checkpoints/v1/iad/img"), { recursive: true });
    expect((await patina("checkpoint", "verify", "latest", "--region", "iad")).status).toBe(7);
    const restore = await patina("region", "restore", "iad", "--from", "latest", "--replace");
    expect(restore.status).toBe(7);
    expect(restore.stderr).toContain("checkpoint-damaged");
    await running.fleet.supervisor.ready();
    await until("the region is as it was", async () => (await patina("verify", "--region", "iad")).status === 0);
  });
});
