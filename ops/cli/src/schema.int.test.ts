/** One schema for a cluster of real agents: applied at one, adopted by all, also by one that was away. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestsOf, isEqual } from "./fleet/settle.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let test_: TestFleet;
const dir = mkdtempSync(join(tmpdir(), "patina-schema-cli-"));

beforeAll(async () => {
  test_ = await startTestFleet(["iad"]);
}, 90_000);

afterAll(async () => {
  await test_.stop();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const agents = () => must(test_.fleet.layout.fleet.regions["iad"], "iad");
const client = (i: number) => new PatinaClient(must(agents()[i], "an agent").api);
const patina = async (...args: string[]) => test_.patina(...args, "--region", "iad");

async function schemaFile(name: string, more: string): Promise<string> {
  const { sql } = await client(0).request<{ sql: string }>("/v1/schema");
  const file = join(dir, name);
  writeFileSync(file, `${sql}\n${more}`);
  return file;
}

describe("patina schema", { timeout: 60_000 }, () => {
  test("plan says what would change and changes nothing", async () => {
    const file = await schemaFile("plan.sql", "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT);");
    const { status, stdout } = await patina("schema", "plan", file);
    expect([status, stdout]).toEqual([0, "+ table notes\n"]);
    await expect(client(0).query("SELECT * FROM notes")).rejects.toMatchObject({ code: "sql-error" });
  });

  test("apply reaches every agent, one that was down as soon as it is back, and live queries see the new table", async () => {
    const away = must(agents()[2], "an agent").name;
    await test_.fleet.supervisor.kill(away);
    const file = await schemaFile("apply.sql", "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT);");
    const applied = await patina("schema", "apply", file, "--wait", "1", "-o", "json");
    expect([applied.status, JSON.parse(applied.stdout)]).toMatchObject([0, { version: 1, applied: true }]);
    await client(1).transact(["INSERT INTO notes VALUES ('1', 'first')"]);
    const live = client(1).events("/v1/subscriptions", {
      method: "POST",
      body: "SELECT id, body FROM notes",
      timeoutMs: 0,
    });
    const next = async (): Promise<unknown> => (await live.next()).value;
    expect([await next(), await next()]).toEqual([{ columns: ["id", "body"] }, { row: [1, ["1", "first"]] }]);
    await live.return();
    test_.fleet.supervisor.start(away);
    await test_.fleet.supervisor.ready();
    await until("it has the row", async () => {
      const found = await client(2)
        .query("SELECT body FROM notes")
        .catch(() => ({ rows: [] }));
      return found.rows.length === 1;
    });
    await until("all are equal", async () => isEqual(await digestsOf("iad", agents())));
    const again = await patina("schema", "apply", file);
    expect([again.status, again.stdout]).toEqual([0, "nothing to change\n"]);
    const shown = await patina("schema", "show", "-o", "json");
    const versions = (JSON.parse(shown.stdout) as { agents: { version: number }[] }).agents.map(
      ({ version }) => version,
    );
    expect(versions).toEqual([1, 1, 1]);
  });

  test("what would lose data is refused until it is named, and then is only hidden", async () => {
    const { sql } = await client(0).request<{ sql: string }>("/v1/schema");
    const file = join(dir, "without.sql");
    writeFileSync(file, sql.replace(", body TEXT", ""));
    const refused = await patina("schema", "apply", file);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("schema-destructive")]);
    expect(refused.stderr).toContain("--ignore notes.body");
    const hidden = await patina("schema", "apply", file, "--ignore", "notes.body");
    expect([hidden.status, hidden.stdout]).toEqual([0, expect.stringContaining("adopted by 3 of 3")]);
    expect((await client(2).query("SELECT * FROM notes")).columns).toEqual(["id"]);
    const broken = join(dir, "broken.sql");
    writeFileSync(broken, "CREATE TABLE");
    expect((await patina("schema", "plan", broken)).stderr).toContain("schema-invalid");
  });
});
