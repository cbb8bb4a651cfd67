/**
 * Three real agents, secured: their keys change under traffic and nobody is suspected, strangers change nothing, and an
 * expired certificate costs its own new streams only.
 */
import { createHash } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentConfig, type AgentEvent, defaultAgentConfig, type Input } from "@patina/agent";
import { must } from "@patina/base";
import { encodeFrame, PROTOCOL } from "@patina/gossip";
import {
  installKey,
  type Keyring,
  newKeyring,
  PACKET_BYTES_MAX,
  removeOldKeys,
  SEAL_BYTES,
  Sealer,
  type Security,
  useNewestKey,
} from "@patina/security";
import { HOUR_MS, Issuer } from "@patina/security/testing";
import { SqliteStore } from "@patina/store";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type * as Built from "./agent-runtime.js";
import { systemNow } from "./clock.js";
import { DataDir } from "./data-dir.js";
import { newDbId } from "./entropy.js";
import { Streams } from "./streams.js";

/** Built, since its membership has a thread, which runs the built file. */
const built = new URL("../dist/agent-runtime.js", import.meta.url).href;
const { AgentRuntime } = (await import(built)) as typeof Built;

const CLUSTER = { name: "iad", generation: 1 };
const SCHEMA = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL DEFAULT '');";
const idOf = (n: number): string => n.toString(16).padStart(32, "0");
const keyOf = (text: string): Uint8Array => createHash("sha256").update(text).digest();
const issuer = new Issuer(systemNow().wallMs);
const iad = await issuer.authority("iad");
const ONE: Keyring = newKeyring(keyOf("one"));

/** Twice as fast as in production, so that a rotation sees many rounds of probes. */
const CONFIG: AgentConfig = {
  ...defaultAgentConfig,
  membership: {
    ...defaultAgentConfig.membership,
    probeIntervalMs: 500,
    directTimeoutMinMs: 150,
    directTimeoutMaxMs: 250,
    relayTimeoutMaxMs: 240,
    joinBackoffMinMs: 100,
    reconnectIntervalMs: 500,
  },
};

class Member {
  readonly runtime: Built.AgentRuntime;
  readonly store: SqliteStore;
  readonly inputs: Input[] = [];
  readonly events: AgentEvent[] = [];
  readonly #dataDir: DataDir;

  constructor(runtime: Built.AgentRuntime, store: SqliteStore, dataDir: DataDir) {
    this.runtime = runtime;
    this.store = store;
    this.#dataDir = dataDir;
    runtime.observe((input) => this.inputs.push(input));
    runtime.onEvent((event) => this.events.push(event));
  }

  get node(): string {
    return this.#dataDir.identity.nodeId;
  }

  get boot(): number {
    return this.#dataDir.identity.boot;
  }

  refusals(): string[] {
    return this.inputs.flatMap((it) =>
      it.kind === "refused" ? Array.from({ length: it.times }, () => `${it.transport}: ${it.reason}`) : [],
    );
  }

  /** Who was ever suspected or given up. */
  accusations(): string[] {
    return this.events.flatMap((it) =>
      it.kind === "member" && (it.member.state === "suspect" || it.member.state === "dead")
        ? [`${it.member.nodeId} is ${it.member.state}`]
        : [],
    );
  }

  /** All that a stranger must not change. */
  state(): unknown {
    return { members: this.runtime.members(), digest: this.store.digest(), reachable: this.runtime.agent.reachable() };
  }

  async write(id: string): Promise<void> {
    const write = { kind: "rows", rows: [{ table: "notes", values: { id, text: "x" } }] } as const;
    const outcome = await this.runtime.write(write);
    if (!outcome.ok) throw outcome.error;
  }

  has(id: string): boolean {
    return this.store.read("SELECT 1 FROM notes WHERE id = ?", [id]).length === 1;
  }

  /** What a process does before it ends, when it is told that it was outlived. */
  startAbove(boot: number): void {
    this.#dataDir.startAbove(boot);
  }

  async stop(): Promise<void> {
    await this.runtime.stop();
    this.store.close();
    this.#dataDir.close();
  }
}

let dir: string;
let ports: number[];
const running = new Set<Member>();
const closing: (() => Promise<unknown> | void)[] = [];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "patina-secured-"));
  ports = await Promise.all(Array.from({ length: 5 }, freePort));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  for (const member of running) await member.stop();
  running.clear();
  rmSync(dir, { recursive: true, force: true });
});

const addressOf = (n: number): string => `127.0.0.1:${must(ports[n], "a port")}`;
const securityOf = async (n: number, forMs = HOUR_MS): Promise<Security> => {
  return { keyring: ONE, credentials: await issuer.credentials(iad, { node: idOf(n), forMs }) };
};

async function start(
  n: number,
  seeds = [1, 2, 3].map(addressOf),
  cluster = CLUSTER,
  wallMs = systemNow().wallMs,
): Promise<Member> {
  const security = await securityOf(n);
  const dataDir = new DataDir(join(dir, String(n)), wallMs, security.credentials.self.node);
  const node = dataDir.identity.nodeId;
  const store = new SqliteStore({ path: dataDir.databasePath, cluster, node, newDbId, schemaSql: SCHEMA });
  const gossip = { address: addressOf(n), advertise: addressOf(n), seeds };
  const runtime = await AgentRuntime.start({ dataDir, store, gossip, api: "", config: CONFIG, security });
  const member = new Member(runtime, store, dataDir);
  running.add(member);
  return member;
}

async function stop(member: Member): Promise<void> {
  running.delete(member);
  await member.stop();
}

async function startThree(): Promise<[Member, Member, Member]> {
  const all: [Member, Member, Member] = [await start(1), await start(2), await start(3)];
  await eventually(() => {
    for (const { runtime } of all) expect(runtime.agent.reachable()).toHaveLength(2);
  });
  return all;
}

const eventually = async (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 15_000, interval: 10 });

test("what membership sends leaves room for its seal", () => {
  expect(defaultAgentConfig.membership.datagramBytesMax + SEAL_BYTES).toBe(PACKET_BYTES_MAX);
});

test("members know each other by their certificates, and what one writes the others have", async () => {
  const all = await startThree();
  expect(all.map(({ node }) => node)).toEqual([1, 2, 3].map(idOf));
  await all[0].write("a");
  await eventually(() => expect(all.map((member) => member.has("a"))).toEqual([true, true, true]));
  expect(all.flatMap((member) => member.refusals())).toEqual([]);
});

test("one whose disk and clock were put back is told, and is believed once it starts above the number that is gone", async () => {
  const [one, two] = [await start(1), await start(2)];
  const identity = join(dir, "3", "node.json");
  const first = await start(3);
  const before = readFileSync(identity);
  await stop(first);
  const later = await start(3, undefined, undefined, systemNow().wallMs + 40_000);
  await eventually(() => expect(one.runtime.members().map(({ boot }) => boot)).toContain(later.boot));
  await stop(later);
  const isGone = ({ boot, state }: { boot: number; state: string }): boolean =>
    boot === later.boot && (state === "dead" || state === "left");
  await eventually(() => expect([one, two].every(({ runtime }) => runtime.members().some(isGone))).toBe(true));
  writeFileSync(identity, before);
  const behind = await start(3);
  await eventually(() => expect(behind.events).toContainEqual({ kind: "outlived", boot: later.boot }));
  behind.startAbove(later.boot);
  await stop(behind);
  const { boot } = await start(3);
  expect(boot).toBeGreaterThan(later.boot);
  for (const { runtime } of [one, two]) {
    await eventually(() => expect(runtime.members()).toContainEqual(expect.objectContaining({ boot, state: "alive" })));
  }
});

/** Waits until datagrams have gone on arriving at every member. */
async function probed(all: readonly Member[]): Promise<void> {
  const heard = all.map(({ runtime }) => runtime.membership.receivedBytes);
  await eventually(() => {
    for (const [i, { runtime }] of all.entries()) {
      expect(runtime.membership.receivedBytes).toBeGreaterThan(heard[i] ?? 0);
    }
  });
}

test("the key is rotated member by member while probes go on, and nobody is suspected or refused", async () => {
  const all = await startThree();
  const steps = [(ring: Keyring) => installKey(ring, keyOf("two")), useNewestKey, removeOldKeys];
  const rings = all.map(() => ONE);
  for (const step of steps) {
    for (const [i, member] of all.entries()) {
      const ring = (rings[i] = step(rings[i] ?? ONE));
      const { credentials } = await securityOf(i + 1);
      member.runtime.replaceSecurity({ credentials, keyring: ring });
      await probed(all);
    }
  }
  await probed(all);
  expect(rings).toEqual(all.map(() => ({ primary: 2, keys: [{ epoch: 2, key: keyOf("two") }] })));
  expect(all.flatMap((member) => member.accusations())).toEqual([]);
  expect(all.flatMap((member) => member.refusals())).toEqual([]);
});

describe("a stranger is refused, counted, and changes nothing:", () => {
  async function refusedAt(member: Member, what: string, times = 1): Promise<void> {
    await eventually(() => expect(member.refusals().filter((it) => it === what)).toHaveLength(times));
  }

  test("datagrams of another cluster, generation, epoch or key, replayed, plaintext, or noise", async () => {
    const member = await start(1, []);
    const before = member.state();
    const socket = await openSocket();
    const boot = Math.floor(systemNow().wallMs);
    const options = {
      cluster: CLUSTER,
      node: idOf(9),
      boot,
      keyring: ONE,
      firstCounter: 1,
      sendersMax: 1,
      bootAheadMs: 1,
    };
    const sealed = (change: object): Uint8Array => new Sealer({ ...options, ...change }).seal(Buffer.from("let me in"));
    const send = (bytes: Uint8Array): void => socket.send(bytes, must(ports[1], "a port"), "127.0.0.1");

    send(sealed({ cluster: { name: "fra", generation: 1 } }));
    send(sealed({ cluster: { name: "iad", generation: 2 } }));
    await refusedAt(member, "datagram: foreign-cluster", 2);
    send(sealed({ keyring: { primary: 7, keys: [{ epoch: 7, key: keyOf("one") }] } }));
    await refusedAt(member, "datagram: unknown-epoch");
    send(sealed({ keyring: newKeyring(keyOf("stolen elsewhere")) }));
    const damaged = Buffer.from(sealed({}));
    damaged[50] = (damaged[50] ?? 0) ^ 1;
    send(damaged);
    await refusedAt(member, "datagram: forged", 2);
    send(Buffer.from("plaintext"));
    send(sealed({}).subarray(0, 57));
    await refusedAt(member, "datagram: not-sealed", 2);
    send(sealed({ node: member.node, boot: member.boot }));
    await refusedAt(member, "datagram: reflected");
    expect([member.refusals().length, member.state()]).toEqual([8, before]);
  });

  test("a flood of datagrams, of which the agent is told a few times only", async () => {
    const member = await start(1, []);
    const socket = await openSocket();
    for (let i = 0; i < 400; i++) socket.send("let me in", must(ports[1], "a port"), "127.0.0.1");
    await eventually(() => expect(member.refusals().length).toBeGreaterThan(200)); // The kernel may drop some.
    const told = member.inputs.filter(({ kind }) => kind === "refused");
    expect(told.length).toBeLessThan(40);
  });

  test("a member's own datagram, recorded and sent again", async () => {
    const recorder = await openSocket();
    const recorded = new Promise<Buffer>((resolve) => recorder.once("message", resolve));
    await start(2, [`127.0.0.1:${recorder.address().port}`]);
    const member = await start(1, []);
    const packet = await recorded;
    // Once it is news, and nobody can tell who brings it.
    for (let i = 0; i < 3; i++) recorder.send(packet, must(ports[1], "a port"), "127.0.0.1");
    await refusedAt(member, "datagram: replayed", 2);
  });

  test("a stream whose greeting names another node than its certificate, or another generation", async () => {
    const member = await start(1, []);
    const before = member.state();
    const told: string[] = [];
    const events = {
      onOpened: () => undefined,
      onFrame: () => undefined,
      onFlushed: () => undefined,
      onClosed: (stream: string) => told.push(stream),
      onRefused: (_from: string, reason: string) => told.push(reason),
    };
    const greetings = {
      thief: { cluster: CLUSTER, node: idOf(2) },
      straggler: { cluster: { ...CLUSTER, generation: 2 }, node: idOf(9) },
    };
    const { credentials } = await securityOf(9);
    const onOpened = (stream: string): void => {
      const greeting = greetings[stream as keyof typeof greetings];
      streams.send(stream, encodeFrame({ kind: "hello", protocol: PROTOCOL, ...greeting }));
    };
    const streams = await Streams.open(addressOf(4), { ...events, onOpened }, credentials);
    closing.push(() => streams.stop());
    for (const stream of Object.keys(greetings)) streams.dial(stream, idOf(1), addressOf(1));
    await eventually(() => expect(told.toSorted()).toEqual(["straggler", "thief"]));
    const reasons = member.events.flatMap((it) => (it.kind === "refused" ? [it.reason] : []));
    expect(reasons.toSorted()).toEqual(["cluster iad generation 2 is not ours", "its certificate names another node"]);
    expect(member.state()).toEqual(before);
  });

  test("an agent of another generation, with everything else as it should be", async () => {
    const member = await start(1);
    const straggler = await start(2, [addressOf(1)], { ...CLUSTER, generation: 2 });
    await eventually(() => expect(member.refusals()).toContain("datagram: foreign-cluster"));
    expect([member.runtime.members(), straggler.runtime.members()]).toEqual([[], []]);
  });
});

test("an expired certificate opens no new stream, and nothing else stops: not an open one, not a write, not the others", async () => {
  const [alice, bob, carol] = await startThree();
  const expired = await securityOf(3, -HOUR_MS);
  carol.runtime.replaceSecurity(expired);
  const heads = carol.store.holdings().get(carol.store.origin)?.head ?? 0;

  running.delete(alice);
  await alice.stop();
  await eventually(() => expect(bob.runtime.members().find(({ nodeId }) => nodeId === alice.node)?.state).toBe("left"));
  const again = await start(1);
  await eventually(() => {
    expect(again.refusals().filter((it) => it === "stream: expired").length).toBeGreaterThan(4); // It keeps trying.
    expect(again.runtime.agent.reachable()).toEqual([bob.node]);
  });
  expect([carol.runtime.agent.reachable(), bob.runtime.agent.reachable()]).toEqual([
    [bob.node],
    [again.node, carol.node],
  ]);
  expect(carol.store.holdings().get(carol.store.origin)?.head ?? 0).toBe(heads); // And writes nothing over it.
  await carol.write("alone");
  await again.write("apart");
  await eventually(() => expect([again.has("alone"), carol.has("apart")]).toEqual([true, true])); // By way of bob.

  carol.runtime.replaceSecurity(await securityOf(3));
  await eventually(() => expect(carol.runtime.agent.reachable()).toEqual([again.node, bob.node]));
  expect([bob, again].flatMap((it) => it.accusations())).toEqual([]);
});

async function openSocket(): Promise<Socket> {
  const socket = createSocket("udp4");
  closing.push(() => new Promise<void>((resolve) => socket.close(resolve)));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
