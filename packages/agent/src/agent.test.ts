/** Whole agents over a model store and a virtual network: what converges, within which limits, and what a failure looks like. */
import { AppError, type ApplyOutcome, type Change, type ClusterId, compareStamps, type EmptyVersions, hash32, type Hlc, HlcClock, hlcFromMs, holdAlso, type Holding, holds, type NodeId, NO_HOLDING, type OriginId, Ranges, Rng, heldVersions, type Range, type Write, type WriteOutcome } from "@patina/base"; // prettier-ignore
import { decodeFrame, type Frame } from "@patina/gossip";
import { beforeEach, describe, expect, test } from "vitest";
import { Agent } from "./agent.js";
import { testAgentConfig as config } from "./config.js";
import type { StorePort } from "./ports.js";
import type { AgentEvent, Effect, Input } from "./protocol.js";

const cluster: ClusterId = { name: "iad", generation: 1 };
const WALL_MS = 1_700_000_000_000;
const idOf = (n: number): NodeId => n.toString(16).padStart(32, "0");
const originOf = (n: number): OriginId => idOf(n) + "0".repeat(16);
const refusals = (events: readonly AgentEvent[]): string[] =>
  events.flatMap((it) => (it.kind === "refused" ? [it.reason] : []));

/** The port by the book: a register a key, the greatest (hlc, origin, version) wins. A body is "key=value". */
class ModelStore implements StorePort {
  readonly origin: OriginId;
  readonly cluster = cluster;
  readonly rows = new Map<string, { text: string; hlc: Hlc; origin: OriginId; version: number; epoch: number }>();
  readonly applied: Change[] = [];
  failure: AppError | undefined;
  /** As if a change that is held could not be applied. */
  isQuarantining = false;
  #holdings = new Map<OriginId, Holding>();
  readonly #log = new Map<string, Change>();
  readonly #clock = new HlcClock();

  constructor(node: number) {
    this.origin = originOf(node);
  }

  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    if (this.failure !== undefined) throw this.failure;
    return writes.map((write): WriteOutcome => {
      const row = write.kind === "rows" ? write.rows[0] : undefined;
      if (row === undefined) return { ok: false, error: new AppError("sql-error", "no SQL here") };
      const version = (this.#holdings.get(this.origin)?.head ?? 0) + 1;
      const body = new Uint8Array(Buffer.from(`${String(row.values["id"])}=${String(row.values["value"])}`));
      const change = { origin: this.origin, version, hlc: this.#clock.tick(wallMs), body };
      this.#join(change);
      const rows = [{ table: "t", key: [], kind: "upsert", appBefore: undefined, app: undefined }] as const;
      return { ok: true, rowsAffected: [1], change, rows };
    });
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ApplyOutcome {
    if (this.failure !== undefined) throw this.failure;
    for (const change of changes) {
      const { head } = this.#holdings.get(change.origin) ?? NO_HOLDING;
      const isEmptyBefore = empties.some(({ origin, versions }) => origin === change.origin && versions.has(head + 1));
      if (change.version !== head + 1 && !isEmptyBefore) throw new Error(`out of order: ${change.version} on ${head}`);
      this.applied.push(change);
      this.#join(change);
    }
    for (const { origin, versions } of empties) this.#hold(origin, versions);
    return { applied: changes.length, quarantined: [], rows: [] };
  }

  holdings(): ReadonlyMap<OriginId, Holding> {
    return new Map(this.#holdings);
  }

  extract(origin: OriginId, wanted: Ranges, bytesMax: number): { changes: Change[]; empty: Ranges } {
    const held = wanted.intersect(heldVersions(this.#holdings.get(origin) ?? NO_HOLDING));
    const changes: Change[] = [];
    let bytes = 0;
    for (const [low, high] of held.spans) {
      for (let version = low; version <= high && bytes < bytesMax; version++) {
        const change = this.#log.get(`${origin}:${version}`);
        if (change === undefined) continue;
        changes.push(change);
        bytes += change.body.length;
      }
    }
    const said = Ranges.from(changes.map(({ version }): Range => [version, version]));
    return { changes, empty: bytes < bytesMax ? held.subtract(said) : Ranges.empty };
  }

  highWater(): Hlc {
    return this.#clock.high;
  }

  basis(): ReadonlyMap<OriginId, number> {
    return new Map([...this.#holdings].map(([origin, { head }]) => [origin, head]));
  }

  comparableDigest(): string | undefined {
    return this.isQuarantining ? undefined : this.digest();
  }

  digest(): string {
    const text = [...this.rows].map(([key, row]) => `${key}=${row.text}`).sort().join(); // prettier-ignore
    return hash32(text).toString(16).padStart(64, "0");
  }

  /** As if all of these had been written once and overwritten since. */
  forget(origin: OriginId, versions: Ranges): void {
    this.#hold(origin, versions);
  }

  #join(change: Change): void {
    const [key = "", text = ""] = Buffer.from(change.body).toString().split("=");
    const row = { text, hlc: change.hlc, origin: change.origin, version: change.version, epoch: 0 };
    const last = this.rows.get(key);
    if (last === undefined || compareStamps(row, last) > 0) this.rows.set(key, row);
    this.#clock.observe(change.hlc);
    this.#log.set(`${change.origin}:${change.version}`, change);
    if (holds(this.#holdings.get(change.origin), change.version)) throw new Error("applied twice");
    this.#hold(change.origin, Ranges.of(change.version, change.version));
  }

  #hold(origin: OriginId, versions: Ranges): void {
    this.#holdings.set(origin, holdAlso(this.#holdings.get(origin) ?? NO_HOLDING, versions));
  }
}

interface Host {
  readonly agent: Agent;
  readonly store: ModelStore;
  readonly events: AgentEvent[];
  readonly outcomes: Map<number, WriteOutcome[]>;
}

/** Agents joined by streams that are whole and in order. Frames may be counted, lost or held back. */
class Net {
  readonly hosts = new Map<string, Host>();
  /** By host, how far its wall clock is ahead. */
  readonly aheadMs = new Map<string, number>();
  readonly frames: { from: string; to: string; frame: Frame }[] = [];
  loses: (from: string, frame: Frame) => boolean = () => false;
  /** Streams of this host never report that bytes have left. */
  stuck: string | undefined;
  nowMs = 0;
  #due: { atMs: number; order: number; to: string; input: Input }[] = [];
  readonly #ends = new Map<string, { to: string; stream: string }>();
  #order = 0;

  add(n: number, store = new ModelStore(n), ofCluster = cluster): Host {
    const address = `10.0.0.${n}:1`;
    const self = { nodeId: idOf(n), boot: 1, address, meta: { api: "" } };
    const seeds = n === 1 ? [] : ["10.0.0.1:1"];
    const agent = new Agent({ cluster: ofCluster, self, seeds, store, config, rng: new Rng(n) });
    const host = { agent, store, events: [], outcomes: new Map<number, WriteOutcome[]>() };
    this.hosts.set(address, host);
    this.give(address, { kind: "start" });
    return host;
  }

  give(to: string, input: Input, afterMs = 0): void {
    this.#due.push({ atMs: this.nowMs + afterMs, order: this.#order++, to, input });
  }

  put(n: number, ticket: number, id: string, value: string): void {
    const write: Write = { kind: "rows", rows: [{ table: "t", values: { id, value } }] };
    this.give(`10.0.0.${n}:1`, { kind: "write", writes: [{ ticket, write }] });
  }

  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error("a loop that never rests");
      this.#due.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#due.shift();
      this.nowMs = next.atMs;
      const host = this.hosts.get(next.to);
      const wallMs = WALL_MS + this.nowMs + (this.aheadMs.get(next.to) ?? 0);
      const now = { monotonicMs: this.nowMs, wallMs };
      if (host !== undefined) for (const effect of host.agent.handle(next.input, now)) this.#do(next.to, host, effect);
    }
    this.nowMs = untilMs;
  }

  #do(from: string, host: Host, effect: Effect): void {
    switch (effect.kind) {
      case "datagram":
        return this.give(effect.to, { kind: "datagram", from, bytes: effect.bytes }, 1);
      case "wake":
        return this.give(from, { kind: "wake", timer: effect.timer }, effect.afterMs);
      case "event":
        return void host.events.push(effect.event);
      case "outcome":
        return void host.outcomes.set(effect.ticket, [...(host.outcomes.get(effect.ticket) ?? []), effect.outcome]);
      case "open-stream": {
        const other = `in-${from}-${effect.stream}`;
        this.#ends.set(`${from}/${effect.stream}`, { to: effect.address, stream: other });
        this.#ends.set(`${effect.address}/${other}`, { to: from, stream: effect.stream });
        this.give(from, { kind: "stream-opened", stream: effect.stream, direction: "out" }, 1);
        return this.give(effect.address, { kind: "stream-opened", stream: other, direction: "in" }, 1);
      }
      case "send": {
        const end = this.#ends.get(`${from}/${effect.stream}`);
        if (end === undefined) return;
        const frame = decodeFrame(effect.bytes, config.gossip);
        this.frames.push({ from, to: end.to, frame });
        if (this.stuck !== from)
          this.give(from, { kind: "stream-flushed", stream: effect.stream, bytes: effect.bytes.length }, 1);
        if (this.loses(from, frame)) return;
        return this.give(end.to, { kind: "stream-frame", stream: end.stream, bytes: effect.bytes }, 1);
      }
      case "close-stream": {
        const end = this.#ends.get(`${from}/${effect.stream}`);
        this.#ends.delete(`${from}/${effect.stream}`);
        if (end !== undefined) this.give(end.to, { kind: "stream-closed", stream: end.stream, reason: "closed" }, 1);
        return this.give(from, { kind: "stream-closed", stream: effect.stream, reason: effect.reason }, 1);
      }
    }
  }
}

let net: Net;
beforeEach(() => {
  net = new Net();
});

function heldText(store: ModelStore): string[] {
  return [...store.holdings()].map(([origin, holding]) => `${origin} ${heldVersions(holding).toString()}`).sort();
}

function expectEqual(...stores: ModelStore[]): void {
  for (const store of stores) {
    expect(store.digest()).toBe(stores[0]?.digest());
    expect(heldText(store)).toEqual(stores.slice(0, 1).flatMap(heldText));
  }
}

describe("a cluster", () => {
  test("broadcast tells everybody at once, and every ticket is answered once", () => {
    const hosts = [net.add(1), net.add(2), net.add(3)];
    net.run(5000);
    net.frames.length = 0;
    for (let i = 0; i < 20; i++) net.put((i % 3) + 1, i, `k${i % 7}`, `v${i}`);
    net.run(100);
    expectEqual(...hosts.map(({ store }) => store));
    expect(hosts[0]?.store.rows.size).toBe(7);
    for (let i = 0; i < 20; i++) expect(hosts[i % 3]?.outcomes.get(i)?.map(({ ok }) => ok)).toEqual([true]);
    expect(hosts.flatMap(({ events }) => events).filter(({ kind }) => kind === "divergence")).toEqual([]);
  });

  test("anti-entropy alone converges, both ways and over every limit, and then it is quiet", () => {
    net.loses = (_, { kind }) => kind === "changes"; // Nothing arrives by broadcast.
    const hosts = [net.add(1), net.add(2), net.add(3)];
    net.run(3000);
    for (let i = 0; i < 120; i++) net.put((i % 3) + 1, i, `k${i}`, "x".repeat(100));
    net.run(200);
    net.loses = () => false;
    net.run(60_000);
    expectEqual(...hosts.map(({ store }) => store));
    expect(hosts[0]?.store.rows.size).toBe(120);
    net.frames.length = 0;
    net.run(10_000);
    expect(new Set(net.frames.map(({ frame }) => frame.kind))).toEqual(new Set(["sum"]));
    expect(hosts.every(({ agent }) => agent.hasSynced && agent.parkedBytes === 0)).toBe(true);
  });

  test("lost frames of every kind only cost time", () => {
    const rng = new Rng(9);
    net.loses = () => rng.chance(0.3);
    const hosts = [net.add(1), net.add(2), net.add(3)];
    for (let i = 0; i < 60; i++) {
      net.put((i % 3) + 1, i, `k${i % 11}`, `v${i}`);
      net.run(50);
    }
    net.run(120_000);
    expectEqual(...hosts.map(({ store }) => store));
  });

  test("a long history that was all written again later is caught up with without being read twice", () => {
    const old = new ModelStore(1);
    old.forget(old.origin, Ranges.of(1, 40));
    const [a, b] = [net.add(1, old), net.add(2)];
    net.put(1, 1, "k", "v");
    net.run(30_000);
    expectEqual(a.store, b.store);
    expect(b.store.applied.map(({ version }) => version)).toEqual([41]);
  });

  test("wants and what answers them stay within their limits however much is missing", () => {
    const old = new ModelStore(1);
    old.forget(old.origin, Ranges.of(1, 500));
    net.add(1, old);
    net.add(2);
    net.loses = (_, { kind }) => kind === "holdings";
    net.run(5000);
    net.put(1, 1, "k", "v"); // The first that node 2 hears of is version 501, and it asks at once for all before it.
    net.run(100);
    expect(net.frames.some(({ frame }) => frame.kind === "want")).toBe(true);
    net.loses = () => false;
    net.run(60_000);
    const sizes = net.frames.flatMap(({ frame }) => {
      const items = frame.kind === "want" ? frame.wants : frame.kind === "empty" ? frame.empties : [];
      return items.length === 0 ? [] : [items.reduce((sum, { versions }) => sum + versions.size, 0)];
    });
    expect(sizes.length).toBeGreaterThan(100);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(config.gossip.wantVersionsMax);
  });

  test("a peer whose queue is full gets no broadcast and is compared with when it has caught up", () => {
    const [a, b] = [net.add(1), net.add(2)];
    net.run(5000);
    net.stuck = "10.0.0.1:1";
    net.frames.length = 0;
    const size = config.peerQueueBytesMax / 8;
    for (let i = 0; i < 20; i++) {
      net.put(1, i, `k${i}`, "x".repeat(size));
      net.run(20);
    }
    const sent = net.frames.filter(({ from, frame }) => from === "10.0.0.1:1" && frame.kind === "changes");
    expect(sent.length).toBeLessThanOrEqual(9);
    expect(a.events.some((it) => it.kind === "peer-lagging" && it.peer === idOf(2))).toBe(true);
    net.stuck = undefined;
    net.frames.length = 0;
    const stream = a.agent.reachable().length === 1 ? "out-1" : "";
    net.give("10.0.0.1:1", { kind: "stream-flushed", stream, bytes: 1 << 20 });
    net.run(1);
    expect(net.frames.map(({ from, frame }) => `${from} ${frame.kind}`)).toContain("10.0.0.1:1 sum");
    net.run(30_000);
    expectEqual(a.store, b.store);
  });

  test("a peer that holds more of this database than it does itself is reported, asked for nothing, and no loop begins", () => {
    const [a, b] = [net.add(1), net.add(2)];
    b.store.forget(a.store.origin, Ranges.of(1, 30)); // Node 1's disk was put back to an old copy.
    net.run(20_000);
    expect(refusals(a.events).some((it) => it.includes("an old copy"))).toBe(true);
    expect(a.store.holdings().size).toBe(0);
    expect(net.frames.filter(({ from, frame }) => from === "10.0.0.1:1" && frame.kind === "want")).toEqual([]);
    expect(net.frames.length).toBeLessThan(500);
  });
});

describe("when the store fails", () => {
  const failure = new AppError("store-failed", "disk full");

  test("writes are answered with the reason, nothing is sent, and the driver is told to stop", () => {
    const a = net.add(1);
    net.add(2);
    net.run(5000);
    a.store.failure = failure;
    net.frames.length = 0;
    net.put(1, 7, "k", "v");
    net.run(1);
    expect(a.outcomes.get(7)).toEqual([{ ok: false, error: failure }]);
    expect(a.events).toContainEqual({ kind: "store-failed", error: failure });
    expect(net.frames.filter(({ frame }) => frame.kind === "changes")).toEqual([]);
  });

  test("remote changes are not held, and are fetched again when it works", () => {
    const [a, b] = [net.add(1), net.add(2)];
    net.run(5000);
    b.store.failure = failure;
    net.put(1, 1, "k", "v");
    net.run(100);
    expect(b.events).toContainEqual({ kind: "store-failed", error: failure });
    expect([b.store.holdings().size, b.agent.parkedBytes]).toEqual([0, 0]);
    b.store.failure = undefined;
    net.run(30_000);
    expectEqual(a.store, b.store);
    expect(b.store.rows.size).toBe(1);
  });

  test("one write that fails says so to its own ticket only", () => {
    const a = net.add(1);
    const good: Write = { kind: "rows", rows: [{ table: "t", values: { id: "k", value: "v" } }] };
    const bad: Write = { kind: "statements", statements: [] };
    const writes = [good, bad, good].map((write, ticket) => ({ ticket, write }));
    net.give("10.0.0.1:1", { kind: "write", writes });
    net.run(1);
    expect([0, 1, 2].map((ticket) => a.outcomes.get(ticket)?.map(({ ok }) => ok))).toEqual([[true], [false], [true]]);
    expect(a.store.holdings().get(a.store.origin)?.head).toBe(2);
  });
});

test("equal holdings with unequal digests are reported as divergence, never passed over", () => {
  const [a, b] = [net.add(1), net.add(2)];
  net.put(1, 1, "k", "v");
  net.run(10_000);
  const row = b.store.rows.get("k");
  if (row !== undefined) b.store.rows.set("k", { ...row, text: "flipped" });
  net.run(10_000);
  expect([...a.events, ...b.events].some(({ kind }) => kind === "divergence")).toBe(true);
});

test("a state that is known to differ, since a change is in quarantine, is no divergence", () => {
  const [a, b] = [net.add(1), net.add(2)];
  b.store.isQuarantining = true;
  net.put(1, 1, "k", "v");
  net.run(10_000);
  const row = b.store.rows.get("k");
  if (row !== undefined) b.store.rows.set("k", { ...row, text: "not applied" });
  net.run(10_000);
  expect([...a.events, ...b.events].filter(({ kind }) => kind === "divergence")).toEqual([]);
  expect(b.agent.hasSynced).toBe(true);
});

describe("clocks", () => {
  test("what a fast clock stamped waits until it is due, and drags nobody along", () => {
    const [a, b] = [net.add(1), net.add(2)];
    net.aheadMs.set("10.0.0.2:1", 20_000);
    net.run(3000);
    net.put(2, 1, "fast", "v");
    net.put(1, 1, "right", "v");
    net.run(5000);
    expect([...a.store.rows.keys()]).toEqual(["right"]);
    expect(a.store.highWater()).toBeLessThan(hlcFromMs(WALL_MS + net.nowMs + 1));
    net.run(15_000);
    expect([...a.store.rows.keys()].sort()).toEqual(["fast", "right"]);
    expectEqual(a.store, b.store);
    expect(a.events.some(({ kind }) => kind === "clock-ahead")).toBe(false);
  });

  test("a clock that is an hour ahead is reported once", () => {
    const a = net.add(1);
    net.add(2);
    net.aheadMs.set("10.0.0.2:1", 3_600_000);
    net.run(3000);
    for (let i = 0; i < 5; i++) net.put(2, i, `k${i}`, "v");
    net.run(30_000);
    expect(a.events.filter(({ kind }) => kind === "clock-ahead")).toMatchObject([{ origin: originOf(2) }]);
    expect(a.store.rows.size).toBe(0);
  });

  test("a cluster whose clocks are all set back an hour goes on at once", () => {
    const hosts = [net.add(1), net.add(2)];
    net.run(3000);
    net.put(1, 1, "before", "v");
    net.run(1000);
    for (const address of net.hosts.keys()) net.aheadMs.set(address, -3_600_000);
    net.put(1, 2, "k", "after");
    net.put(2, 2, "before", "again");
    net.run(1000);
    expectEqual(...hosts.map(({ store }) => store));
    expect(hosts[0]?.store.rows.get("before")?.text).toBe("again");
  });
});
