/** Real agents whose main threads stand still: they stay members meanwhile, and end with a record when it is for good. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { must } from "@patina/base";
import { afterAll, afterEach, describe, expect, test } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "patina-wedge-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Prints what happens to its membership, and does with its main thread what standard input says. */
const AGENT = `
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
const [, , built, store, agent, path, address, seed] = process.argv;
const { AgentRuntime, BlackBox, DataDir, defaultWatchdogConfig, newDbId } = await import(built);
const { SqliteStore } = await import(store);
const { defaultAgentConfig } = await import(agent);
mkdirSync(path, { recursive: true });
const dataDir = new DataDir(path, Date.now());
const blackBox = new BlackBox();
const db = new SqliteStore({
  path: dataDir.databasePath, cluster: { name: "iad", generation: 1 }, node: dataDir.identity.nodeId, newDbId,
  schemaSql: "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT);", onRow: (table, key) => blackBox.noteRow(table, key),
});
const runtime = await AgentRuntime.start({
  dataDir, store: db, gossip: { address, advertise: address, seeds: seed === undefined ? [] : [seed] },
  api: "http://127.0.0.1:0", config: defaultAgentConfig, blackBox, watchdog: { ...defaultWatchdogConfig, abortAfterMs: 2500 },
});
runtime.onEvent((event) => {
  if (event.kind === "member") console.log("member " + event.member.state);
  if (event.kind === "fitness") console.log("fit " + event.isFit);
  if (event.kind === "changed" && event.source === "remote") console.log("changed");
});
function spinUntil(end) { while (performance.now() < end); }
const acts = {
  spin: (ms) => spinUntil(performance.now() + Number(ms)),
  sql: () => db.read("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"),
  write: (id) => void runtime.write({ kind: "rows", rows: [{ table: "t", values: { id, v: "" } }] }),
};
createInterface({ input: process.stdin }).on("line", (line) => {
  const [act, argument] = line.split(" ");
  acts[act](argument);
});
console.log("ready");
`;

const script = join(dir, "agent.mjs");
writeFileSync(script, AGENT);

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly path: string;
  readonly said: (line: string, times?: number) => Promise<void>;
  readonly tell: (line: string) => void;
}

const running: Running[] = [];
afterEach(async () => {
  for (const { child } of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

async function start(name: string, address: string, seed?: string): Promise<Running> {
  const built = (of: string): string => pathToFileURL(join(import.meta.dirname, `../../../${of}/dist/index.js`)).href;
  const path = join(dir, name);
  const args = [built("runtime"), built("store"), built("agent"), path, address, ...(seed === undefined ? [] : [seed])];
  const child = spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const hear = (line: string): void => {
    lines.push(line);
    for (const look of waiting) look();
  };
  createInterface({ input: child.stdout }).on("line", hear);
  createInterface({ input: child.stderr }).on("line", hear);
  const said = async (line: string, times = 1): Promise<void> =>
    new Promise((resolve, reject) => {
      child.once("exit", (status) =>
        reject(new Error(`ended with ${status} before it said "${line}": ${lines.join("; ")}`)),
      );
      const look = (): void => {
        if (lines.filter((each) => each === line).length < times) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const it = { child, lines, path, said, tell: (line: string) => void child.stdin.write(`${line}\n`) };
  running.push(it);
  await said("ready");
  return it;
}

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

function record({ path }: Running): Record<string, unknown> {
  const name = readdirSync(path).find((file) => file.startsWith("wedged-"));
  return JSON.parse(readFileSync(join(path, must(name, "a record")), "utf8")) as Record<string, unknown>;
}

describe("a main thread that stands still", { timeout: 60_000 }, () => {
  test("for a while: the node stays a member, and nobody suspects it", async () => {
    const address = await freeAddress();
    const a = await start("a", address);
    const b = await start("b", await freeAddress(), address);
    await a.said("member alive");
    // Shorter than its watchdog bears, and longer than a member may lag and still be relied upon.
    for (let turn = 1; turn <= 3; turn++) {
      b.tell("spin 2400");
      b.tell(`write ${turn}`);
      await a.said("changed", turn);
    }
    if (a.lines.includes("fit false")) await a.said("fit true");
    expect(a.lines.filter((line) => line.startsWith("member"))).toEqual(["member alive"]);
  });

  test("for good, in JavaScript: the process is ended, and the record has the stack and the last row", async () => {
    const address = await freeAddress();
    const a = await start("c", address);
    const b = await start("d", await freeAddress(), address);
    await b.said("member alive");
    a.tell("write row-1");
    await b.said("changed");
    b.tell("spin 1000000");
    const [, signal] = (await once(b.child, "exit")) as [number, string];
    expect(signal).toBe("SIGABRT");
    const found = record(b);
    expect((found["stack"] as string[]).join("\n")).toMatch(/^spinUntil .*agent\.mjs:\d+$/m);
    expect(found["wedgedMs"]).toBeGreaterThan(2500);
    expect(b.lines.some((line) => line.startsWith("the main thread stood still"))).toBe(true);
  });

  test("for good, inside SQLite: the record says so", async () => {
    const it = await start("e", await freeAddress());
    it.tell("sql");
    const [, signal] = (await once(it.child, "exit")) as [number, string];
    expect(signal).toBe("SIGABRT");
    expect(record(it)["stack"]).toEqual(["not in JavaScript: inside SQLite, or another native call"]);
  });
});
