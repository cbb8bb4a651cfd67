/**
 * What is wrong with a copy is found and named: changes that cannot be applied, rows written around the engine, and agents
 * that differ. The poison comes from a real peer, one whose schema lets through what the others' does not.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PatinaClient } from "@patina/api";
import { must } from "@patina/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentsOf } from "./fleet/fleet-file.js";
import { digestsOf, isEqual } from "./fleet/settle.js";
import { openAuthorityDir } from "./tls/authority-dir.js";
import { authorityDirOf } from "./tls/fleet-security.js";
import { issueMember, memberPathsIn } from "./tls/member-dir.js";
import { freePorts, runCommand, startTestFleet, type TestFleet, until } from "./testing/fleet.js";

const MAIN = fileURLToPath(new URL("../../../regional/dist/main.js", import.meta.url));
const SCHEMA = fileURLToPath(new URL("../../../regional/schema/010-machines.sql", import.meta.url));

let running: TestFleet;
let peer: Peer;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
  peer = await Peer.prepare();
  await peer.start();
}, 90_000);

afterAll(async () => {
  await peer.stop();
  await running.stop();
}, 60_000);

const agents = () => agentsOf(running.fleet.layout.fleet, "iad");
const agent = (i: number) => must(agents()[i], "an agent");
const client = (i: number) => new PatinaClient(agent(i).api);

/** A member of the region without the CHECK on a machine's state, which nobody should run and somebody will. */
class Peer {
  readonly client: PatinaClient;
  readonly database: string;
  readonly #config: string;
  #process: ChildProcess | undefined;

  private constructor(config: string, api: string, database: string) {
    this.#config = config;
    this.client = new PatinaClient(api);
    this.database = database;
  }

  static async prepare(): Promise<Peer> {
    const dir = join(running.dir, "peer");
    mkdirSync(dir);
    writeFileSync(join(dir, "loose.sql"), readFileSync(SCHEMA, "utf8").replace(/CHECK \(.*\)\),/, ","));
    const port = await freePorts(2);
    const api = `127.0.0.1:${port + 1}`;
    const config = join(dir, "agent.toml");
    const tls = join(dir, "tls");
    const authority = await openAuthorityDir(authorityDirOf(running.dir, "iad"));
    await issueMember(tls, authority, { role: "regional", days: 1 });
    const { ca, cert, key, keyring } = memberPathsIn(tls);
    writeFileSync(
      config,
      `node_dir = "${join(dir, "node")}"
[cluster]
name = "iad"
[gossip]
address = "127.0.0.1:${port}"
seeds = ["${agent(0).gossip ?? ""}"]
keyring = "${keyring}"
tls = { ca = "${ca}", cert = "${cert}", key = "${key}" }
[api]
address = "${api}"
[schema]
paths = ["${join(dir, "loose.sql")}"]
[log]
level = "error"
`,
    );
    return new Peer(config, `http://${api}`, join(dir, "node/state.db"));
  }

  async start(): Promise<void> {
    this.#process = spawn(process.execPath, [MAIN, "--config", this.#config], { stdio: "ignore" });
    const isReady = async (): Promise<boolean> =>
      this.client.request<{ ready: boolean }>("/readyz").then(
        ({ ready }) => ready,
        () => false,
      );
    await until("the peer is a member", isReady);
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    if (this.#process?.exitCode === null) await once(this.#process, "exit");
  }
}

interface Page {
  readonly changes: readonly {
    readonly origin: string;
    readonly version: number;
    readonly reason: string;
    readonly tables: readonly string[];
    readonly bytes: number;
  }[];
  readonly next: string | null;
}

const quarantineOf = async (i: number, query = ""): Promise<Page> => client(i).request<Page>(`/v1/quarantine${query}`);

async function stateOf(id: string, i: number): Promise<unknown> {
  const { rows } = await client(i).query(["SELECT state FROM machines WHERE id = ?", [id]]);
  return rows[0]?.[0];
}

async function sqlite(path: string, sql: string): Promise<string> {
  const { status, stdout, stderr } = await runCommand("sqlite3", ["-cmd", ".timeout 5000", path, sql]);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

describe("a change that cannot be applied", { timeout: 60_000 }, () => {
  test("is listed within a second, delays nothing else, and leaves the last good row in service", async () => {
    await client(0).transact(["INSERT INTO machines (id, app, state) VALUES ('p1', 'poison', 'started')"]);
    await until("the peer has it", async () => {
      return (await peer.client.query("SELECT 1 FROM machines WHERE id = 'p1'")).rows.length === 1;
    });
    const { version } = await peer.client.transact(["UPDATE machines SET state = 'flying' WHERE id = 'p1'"]);
    await peer.client.transact(["INSERT INTO machines (id, app, state) VALUES ('p2', 'poison', 'started')"]);
    for (const i of [0, 1, 2]) {
      await until("it is listed", async () => (await quarantineOf(i)).changes.length === 1, 1000);
      const [change] = (await quarantineOf(i)).changes;
      expect(change).toMatchObject({ version, tables: ["machines"] });
      expect(change?.reason).toContain("CHECK constraint failed: state IN");
      await until("what came after it is in", async () => (await stateOf("p2", i)) === "started", 1000);
      expect(await stateOf("p1", i)).toBe("started");
    }
    await client(1).transact(["INSERT INTO machines (id, app, state) VALUES ('p3', 'poison', 'started')"]);
    await until("others' writes go on", async () => (await stateOf("p3", 2)) === "started", 1000);
  });

  test("whose bytes make no sense is told as such, and the next good change of its row is taken", async () => {
    await peer.stop();
    const { version } = (await quarantineOf(0)).changes[0] ?? { version: 0 };
    // As a peer with a broken codec would have it: one more version of its own, of bytes that are no change.
    await sqlite(
      peer.database,
      `INSERT INTO _patina_quarantine SELECT idx, head + 1, hlc, 'planted', x'ff00ff' FROM _patina_origins
         WHERE idx = (SELECT origin FROM _patina_log WHERE version = ${version} AND origin IN
           (SELECT idx FROM _patina_origins JOIN _patina_meta ON key = 'db' AND instr(origin, value) > 0) LIMIT 1);
       UPDATE _patina_origins SET head = head + 1 WHERE idx IN (SELECT origin FROM _patina_quarantine);`,
    );
    await peer.start();
    for (const i of [0, 1, 2]) {
      await until("both are listed", async () => (await quarantineOf(i)).changes.length === 2);
      const { changes, next } = await quarantineOf(i, "?limit=1");
      expect([changes.length, typeof next]).toEqual([1, "string"]);
      const rest = await quarantineOf(i, `?after=${next}`);
      expect(rest).toMatchObject({ changes: [{ tables: [], bytes: 3 }], next: null });
    }
  });

  test("is listed and tried again from the command line, and let out once its row has moved on", async () => {
    const list = await running.patina("quarantine", "list", "--region", "iad");
    expect(list.status).toBe(0);
    expect(list.stdout.match(/CHECK constraint failed/g)?.length).toBe(3);
    const retried = await running.patina("quarantine", "retry", "--region", "iad", "-o", "json");
    expect(retried.status).toBe(7);
    expect(JSON.parse(retried.stdout)).toMatchObject(Array(3).fill({ applied: 0, remaining: 2 }));
    await peer.client.transact(["UPDATE machines SET state = 'stopped' WHERE id = 'p1'"]);
    await until("the row moves on", async () => (await stateOf("p1", 1)) === "stopped");
    // What could not be applied is simply old now, and goes by itself; bytes that make no sense stay so.
    for (const i of [0, 1, 2]) {
      await until("it is let out", async () => (await quarantineOf(i)).changes.length === 1);
      expect((await quarantineOf(i)).changes).toMatchObject([{ bytes: 3 }]);
    }
    expect(await stateOf("p1", 1)).toBe("stopped");
    await expect(quarantineOf(0, "?limit=0")).rejects.toMatchObject({ code: "bad-request" });
    await expect(quarantineOf(0, "?after=x")).rejects.toMatchObject({ code: "bad-request" });
  });
});

describe("a change that is given up", { timeout: 60_000 }, () => {
  test("is gone from every agent that had it, and digests are compared again", async () => {
    const { origin, version } = must((await quarantineOf(0)).changes[0], "what makes no sense");
    const discard = async (...more: string[]) => {
      return running.patina("quarantine", "discard", origin.slice(0, 8), ...more, "--region", "iad", "-o", "json");
    };
    const looked = await discard(String(version));
    expect([looked.status, JSON.parse(looked.stdout)]).toMatchObject([
      0,
      Array(3).fill({ found: true, discarded: false }),
    ]);
    expect((await quarantineOf(0)).changes.length).toBe(1);
    expect((await discard("x", "--yes")).status).toBe(2);
    const done = await discard(String(version), "--yes");
    expect([done.status, JSON.parse(done.stdout)]).toMatchObject([0, Array(3).fill({ found: true, discarded: true })]);
    for (const i of [0, 1, 2]) expect(await quarantineOf(i)).toEqual({ changes: [], next: null });
    expect((await discard(String(version), "--yes")).status).toBe(3);
    const send = async (body: unknown) => client(0).request("/v1/quarantine/discards", { method: "POST", body });
    expect(await send({ origin, version })).toEqual({ discarded: false });
    await expect(send({ origin: "x", version })).rejects.toMatchObject({ code: "bad-request" });
    expect((await running.patina("verify", "--region", "iad")).status).toBe(0);
  });
});

interface Verdict {
  readonly clusters: readonly {
    readonly cluster: string;
    readonly equal: boolean;
    readonly differences?: { readonly sameHoldings: boolean; readonly buckets: readonly Place[] };
    readonly scrubs?: readonly { readonly agent: string; readonly findings: readonly Place[] }[];
  }[];
}

interface Place {
  readonly table: string;
  readonly bucket: number;
}

describe("patina verify", { timeout: 60_000 }, () => {
  const verify = async (...more: string[]) => {
    const { status, stdout, stderr } = await running.patina("verify", "--region", "iad", "-o", "json", ...more);
    if (stdout === "") throw new Error(stderr);
    return { status, ...must((JSON.parse(stdout) as Verdict).clusters[0], "a cluster") };
  };

  /** Runs in the midst of writes, as fast as they go. */
  const whileWriting = async <T>(run: () => Promise<T>): Promise<T> => {
    let [isOver, written] = [false, 0];
    const writing = (async () => {
      while (!isOver) {
        await client(written % 2).transact([["INSERT OR REPLACE INTO machines (id, app) VALUES (?, 'busy')", [`busy-${written++}`]]]); // prettier-ignore
      }
    })();
    await until("writes go on", async () => written > 1);
    const before = written;
    const result = await run().finally(() => (isOver = true));
    await writing;
    expect(written).toBeGreaterThan(before + 1);
    return result;
  };

  test("with --scrub finds nothing on a cluster that is well", async () => {
    await until("it is at rest", async () => isEqual(await digestsOf("iad", agents())));
    const { status, scrubs } = await verify("--scrub");
    expect([status, scrubs?.map(({ findings }) => findings)]).toEqual([0, [[], [], []]]);
  });

  test("finds nothing on a cluster that is well while it is written to", async () => {
    const { status, equal } = await whileWriting(() => verify());
    expect([status, equal]).toEqual([0, true]);
  });

  test("with --scrub names table and bucket of a row that was written around the engine", async () => {
    const path = join(agent(1).node_dir ?? "", "state.db");
    await sqlite(path, "UPDATE _patina_rows_machines SET cpus = 99 WHERE id = 'p2'");
    expect((await verify()).status).toBe(0);
    const { status, scrubs } = await verify("--scrub");
    expect(status).toBe(7);
    const found = scrubs?.filter(({ findings }) => findings.length > 0);
    expect(found).toMatchObject([{ agent: agent(1).name, findings: [{ table: "machines" }] }]);
    const text = await running.patina("verify", "--region", "iad", "--scrub");
    const bucket = found?.[0]?.findings[0]?.bucket;
    expect(text.stdout).toContain(`${agent(1).name}: machines, bucket ${bucket}: rows are not what their digest says`);
  });

  test("names table and bucket when agents that hold the same versions differ", async () => {
    const { name, node_dir: dir } = agent(2);
    await running.fleet.supervisor.stop(name);
    const path = join(dir ?? "", "state.db");
    const sums = Buffer.from(await sqlite(path, "SELECT hex(sums) FROM _patina_digests WHERE tbl = 'machines'"), "hex");
    const bucket = sums.findIndex((byte) => byte !== 0) >> 3;
    sums.writeBigUInt64LE(sums.readBigUInt64LE(bucket * 8) ^ 1n, bucket * 8);
    await sqlite(path, `UPDATE _patina_digests SET sums = x'${sums.toString("hex")}' WHERE tbl = 'machines'`);
    running.fleet.supervisor.start(name);
    await running.fleet.supervisor.ready();
    await until("it holds what the others hold", async () => (await verify()).differences?.sameHoldings === true);
    const { status, equal, differences } = await verify();
    expect([status, equal]).toEqual([7, false]);
    expect(differences?.buckets).toMatchObject([{ table: "machines", bucket }]);
    const text = await running.patina("verify", "--region", "iad");
    expect(text.stdout).toContain(`machines, bucket ${bucket} differs: ${agent(0).name} `);
    const underWrites = await whileWriting(() => verify("--within", "1"));
    expect(underWrites.status).toBe(7);
    // A copy that is being written to may lag in others, too, for as long as was looked.
    expect(underWrites.differences?.buckets).toContainEqual(expect.objectContaining({ table: "machines", bucket }));
    const report = await client(2).request<{ buckets: object }>("/v1/digest?buckets=machines");
    expect(Object.keys(report.buckets)).toContain(String(bucket));
    await expect(client(2).request("/v1/digest?buckets=nothing")).rejects.toMatchObject({ code: "table-unknown" });
  });

  test("with --repair puts right what was changed, deleted or slipped in around the engine, and what the digest says", async () => {
    const path = join(agent(1).node_dir ?? "", "state.db");
    await client(0).transact(["INSERT INTO machines (id, app, state) VALUES ('r1', 'repair', 'started'), ('r2', 'repair', 'started')"]); // prettier-ignore
    await until("they are here", async () => (await client(1).query("SELECT 1 FROM machines WHERE app = 'repair'")).rows.length === 2); // prettier-ignore
    await sqlite(path, "UPDATE _patina_rows_machines SET app = 'forged' WHERE id = 'r1'");
    await sqlite(path, "DELETE FROM _patina_rows_machines WHERE id = 'r2'");
    await sqlite(path, "INSERT INTO _patina_rows_machines (id, app) VALUES ('r3', 'slipped in')");
    const damaged = await verify("--scrub");
    expect(damaged.scrubs?.map(({ findings }) => findings.length > 0)).toEqual([false, true, true]); // The last one from before.
    const { status, scrubs } = await verify("--repair");
    expect([status, scrubs?.map(({ findings }) => findings)]).toEqual([0, [[], [], []]]);
    const { rows } = await client(1).query(
      "SELECT id, app FROM machines WHERE id IN ('r1', 'r2', 'r3', 'p2') ORDER BY id",
    );
    expect(rows).toEqual((await client(0).query("SELECT id, app FROM machines WHERE id IN ('r1', 'r2', 'r3', 'p2') ORDER BY id")).rows); // prettier-ignore
    expect(isEqual(await digestsOf("iad", agents()))).toBe(true);
    await expect(client(1).request("/v1/repairs", { method: "POST", body: { table: "machines", bucket: 256 } })).rejects.toMatchObject({ code: "bad-request" }); // prettier-ignore
  });
});
