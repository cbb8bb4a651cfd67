/** Whole objects as their users write them: on condition, in bulk over HTTP, and from files with `patina import`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PatinaClient } from "@patina/api";
import { must } from "@patina/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentsOf } from "./fleet/fleet-file.js";
import { digestsOf, isEqual } from "./fleet/settle.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

const agents = () => agentsOf(running.fleet.layout.fleet, "iad");
const api = (i = 0): string => must(agents()[i], "an agent").api;
const rowsUrl = (i = 0): string => `${api(i)}/v1/tables/machines/rows`;

async function send(method: string, body: unknown, headers: Record<string, string> = {}, i = 0) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(rowsUrl(i), { method, body: text, headers });
  const document = (await response.json()) as Record<string, unknown>;
  return { status: response.status, etag: response.headers.get("etag"), ...document };
}

async function read(id: string, i = 0) {
  const response = await fetch(`${rowsUrl(i)}?id=${id}`);
  const object = (await response.json()) as Record<string, unknown>;
  return { status: response.status, etag: must(response.headers.get("etag") ?? "", "an etag"), object };
}

async function countOf(app: string, i = 0): Promise<number> {
  const { rows } = await new PatinaClient(api(i)).query(["SELECT count(*) FROM machines WHERE app = ?", [app]]);
  return Number(rows[0]?.[0]);
}

const STREAM = { "content-type": "application/x-ndjson" };
const lines = (app: string, count: number, more: object = {}): string =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ id: `${app}-${i}`, app, ...more })}\n`).join("");

describe("an object on condition", { timeout: 30_000 }, () => {
  test("is read, changed and written back, and of writers at the same moment one wins each time", async () => {
    await send("PUT", { id: "counter", app: "condition" }, { "if-none-match": "*" });
    let refused = 0;
    const add = async (): Promise<void> => {
      for (;;) {
        const { object, etag } = await read("counter");
        const next = { ...object, cpus: Number(object["cpus"]) + 1 };
        const { status, code } = { code: "", ...(await send("PUT", next, { "if-match": etag })) };
        if (status === 200) return;
        expect([status, code]).toEqual([412, "version-mismatch"]);
        refused++;
      }
    };
    await Promise.all(Array.from({ length: 20 }, add));
    expect((await read("counter")).object).toMatchObject({ cpus: 20, state: "created" });
    expect(refused).toBeGreaterThan(0);
  });

  test("carries the same tag on every agent, so that a condition can be read here and sent there", async () => {
    const { etag } = await send("PUT", { id: "moved", app: "condition" });
    await until("it is there", async () => (await read("moved", 1)).etag === etag);
    const changed = await send("PUT", { id: "moved", app: "condition", cpus: 1 }, { "if-match": etag ?? "" }, 1);
    expect(changed.status).toBe(200);
    await until("it is back", async () => (await read("moved", 0)).etag === changed.etag);
    expect((await send("DELETE", { id: "moved" }, { "if-match": etag ?? "" })).status).toBe(412);
    expect((await send("DELETE", { id: "moved" }, { "if-match": changed.etag ?? "" })).status).toBe(200);
    expect(await read("moved")).toMatchObject({ status: 404, object: { code: "row-absent" } });
  });

  test.each([
    ["If-Match: * of what is not there", { "if-match": "*" }, { id: "none" }, 412, "version-mismatch"],
    ["a tag without quotes", { "if-match": "abc" }, { id: "none" }, 400, "bad-request"],
    ["a tag for several objects", { "if-match": '"a:1"' }, [{ id: "x" }, { id: "y" }], 400, "bad-request"],
    ["If-None-Match with a tag", { "if-none-match": '"a:1"' }, { id: "none" }, 400, "bad-request"],
    ["both at once", { "if-none-match": "*", "if-match": "*" }, { id: "none" }, 400, "bad-request"],
  ])("with %s is refused", async (_what, headers, body, status, code) => {
    expect(await send("PUT", body, headers as Record<string, string>)).toMatchObject({ status, code });
  });
});

describe("objects in bulk", { timeout: 60_000 }, () => {
  test("go in without a limit on the whole, in versions small enough for every peer, and out the same way", async () => {
    const text = lines("bulk", 30_000, { address: "x".repeat(300) });
    expect(text.length).toBeGreaterThan(8 << 20);
    const put = await send("PUT", text, STREAM);
    expect(put).toMatchObject({ status: 200, committed_lines: 30_000, rows_read: 30_000, rows_changed: 30_000 });
    expect(Number((put as Record<string, unknown>)["versions"])).toBeGreaterThanOrEqual(300);
    expect(await send("PUT", lines("bulk", 500, { address: "x".repeat(300) }), STREAM)).toMatchObject({
      rows_changed: 0,
      versions: 0,
      version: null,
    });
    await until("all agents have them", async () => isEqual(await digestsOf("iad", agents())));
    expect(await countOf("bulk", 2)).toBe(30_000);
    const keys = Array.from({ length: 30_000 }, (_, i) => `{"id":"bulk-${i}"}\n`).join("");
    expect(await send("DELETE", keys, STREAM)).toMatchObject({ status: 200, rows_changed: 30_000 });
    expect(await countOf("bulk")).toBe(0);
  });

  test("end at the first bad line, which is named with what to do, and keep what came before it", async () => {
    const text = `${lines("bad", 150)}{"id":"bad-x","app":"bad","state":"flying"}\n${lines("bad-later", 50)}`;
    const answer = await send("PUT", text, STREAM);
    expect(answer).toMatchObject({ status: 400, code: "sql-error", line: 151, field: "state", committed_lines: 150 });
    expect([await countOf("bad"), await countOf("bad-later")]).toEqual([150, 0]);
    const malformed = `${lines("bad", 3)}{"id":"bad-y",,}\n`;
    expect(await send("PUT", malformed, STREAM)).toMatchObject({ line: 4, column: 15, committed_lines: 3 });
    const absent = await fetch(`${api()}/v1/tables/nothing/rows`, { method: "PUT", body: "{}", headers: STREAM });
    expect(await absent.json()).toMatchObject({ status: 404, code: "table-unknown", committed_lines: 0 });
  });

  test("can be created only where there are none, each on the same condition", async () => {
    await send("PUT", { id: "only-7", app: "taken" });
    const answer = await send("PUT", lines("only", 10), { ...STREAM, "if-none-match": "*" });
    expect(answer).toMatchObject({ status: 412, code: "version-mismatch", line: 8, committed_lines: 7 });
    expect(await countOf("taken")).toBe(1);
  });

  test("from a client that goes away leave whole slices and an agent that goes on", async () => {
    const sending = request(rowsUrl(), { method: "PUT", headers: STREAM });
    sending.on("error", () => undefined); // It is this test that breaks the connection.
    sending.write(lines("gone", 1050));
    await until("most of it is in", async () => (await countOf("gone")) >= 1000);
    sending.write('{"id":"gone-half","app":"go');
    sending.destroy();
    const after = await send("PUT", lines("stays", 150), STREAM);
    expect(after).toMatchObject({ status: 200, rows_changed: 150 });
    expect((await countOf("gone")) % 100).toBe(0);
    expect((await read("gone-half")).status).toBe(404);
  });
});

const BIN = fileURLToPath(new URL("../bin/patina.js", import.meta.url));

describe("patina import", { timeout: 60_000 }, () => {
  const importArgs = (file: string, ...more: string[]): string[] => [
    "import",
    "machines",
    file,
    "--region",
    "iad",
    ...more,
  ];
  const file = (name: string, text: string): string => {
    const path = join(running.dir, name);
    writeFileSync(path, text);
    return path;
  };

  test("takes NDJSON and CSV, typed by the table, and says what it did", async () => {
    const ndjson = await running.patina(...importArgs(file("a.ndjson", lines("nd", 2500)), "-o", "json"));
    expect(ndjson.status).toBe(0);
    expect(JSON.parse(ndjson.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
      end: "done",
      committed_lines: 2500,
      rows_changed: 2500,
    });
    const csv = file("b.csv", 'id,app,address,cpus,updated_ms\nv1,csv,"a, ""b""\nc",4,\nv2,csv,,,9007199254740993\n');
    expect((await running.patina(...importArgs(csv))).status).toBe(0);
    const client = new PatinaClient(api());
    const sql = "SELECT id, address, cpus, updated_ms FROM machines WHERE app = 'csv' ORDER BY id";
    expect((await client.query(sql)).rows).toEqual([
      ["v1", 'a, "b"\nc', 4, 0],
      ["v2", "", 0, "9007199254740993"],
    ]);
  });

  test.each([
    ["a field of the wrong kind", "id,app,cpus\ni1,wrong,1\ni2,wrong,many\n", "line 3: cpus", 2, 2],
    ["a row the schema refuses", "id,app,state\nj1,wrong,created\nj2,wrong,flying\n", "line 3: CHECK", 1, 2],
    ["a record that is too short", "id,app\nk1,wrong\nk2\n", "line 3: the record", 2, 2],
    ["a column that is not there", "id,nothing\nl1,1\n", "no column named nothing", 2, 0],
  ])("names the line of %s and how to go on", async (_what, text, message, status, inUpTo) => {
    const ran = await running.patina(...importArgs(file("wrong.csv", text)));
    expect([ran.status, ran.stderr]).toEqual([status, expect.stringContaining(message)]);
    expect(ran.stderr.includes(`--skip ${inUpTo}`)).toBe(inUpTo > 0);
  });

  test("refuses an unknown table, region or format before it reads anything", async () => {
    const path = file("c.ndjson", lines("never", 3));
    expect((await running.patina("import", "nothing", path, "--region", "iad")).status).toBe(3);
    expect((await running.patina("import", "machines", path, "--region", "nowhere")).status).toBe(3);
    expect((await running.patina("import", "machines", path)).status).toBe(2);
    expect((await running.patina(...importArgs(file("c.data", lines("never", 3))))).status).toBe(2);
    expect((await running.patina(...importArgs(join(running.dir, "none.csv")))).status).toBe(2);
    expect(await countOf("never")).toBe(0);
  });

  test("stops at Ctrl-C, says up to which line rows are in, and goes on from there", async () => {
    const total = 60_000;
    const path = file("d.ndjson", lines("stop", total));
    const args = [...importArgs(path, "-o", "json"), "--fleet", join(running.dir, "fleet.json")];
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    await until("it is under way", async () => (await countOf("stop")) > 0);
    child.kill("SIGINT");
    const [status] = (await once(child, "close")) as [number];
    const last = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { end: string; committed_lines: number };
    const { end, committed_lines: line } = last;
    expect([status, end]).toEqual([130, "stopped"]);
    expect(line).toBeGreaterThan(0);
    expect(line).toBeLessThan(total);
    expect(stderr).toContain(`--skip ${line}`);
    expect(await countOf("stop")).toBe(line);
    const rest = await running.patina(...importArgs(path, "--skip", String(line), "-o", "json"));
    expect(JSON.parse(rest.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
      committed_lines: total,
      rows_read: total - line,
    });
    expect(await countOf("stop")).toBe(total);
  });

  test("goes on with another agent when the one it loads into is killed", async () => {
    const path = file("e.ndjson", lines("over", 40_000));
    const importing = running.patina(...importArgs(path));
    await until("it is under way", async () => (await countOf("over", 1)) > 0);
    const { name } = must(agents()[0], "an agent");
    await running.fleet.supervisor.kill(name);
    const { status, stderr } = await importing;
    expect([status, stderr]).toEqual([0, ""]);
    // What the killed agent took and had not told anybody is on its disk: it is there once that agent is.
    running.fleet.supervisor.start(name);
    await running.fleet.supervisor.ready();
    await until("all have caught up", async () => isEqual(await digestsOf("iad", agents())));
    expect(await countOf("over", 1)).toBe(40_000);
  });
});
