/** Whole agents over a model store and a virtual network: what converges, within which limits, and what a failure looks like. */
import { AppError, Ranges, Rng, type Write } from "@patina/base";
import { beforeEach, describe, expect, test } from "vitest";
import { Agent } from "./agent.js";
import { testAgentConfig as config } from "./config.js";
import { expectEqual } from "./testing/expect-equal.js";
import { cluster, idOf, ModelStore } from "./testing/model-store.js";
import { Net } from "./testing/net.js";

let net: Net;
beforeEach(() => {
  net = new Net();
});

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
    net.config = { ...config, gossip: { ...config.gossip, snapshotFromVersions: 1000 } };
    const old = new ModelStore(1);
    old.forget(old.origin, Ranges.of(1, 40));
    const [a, b] = [net.add(1, old), net.add(2)];
    net.put(1, 1, "k", "v");
    net.run(30_000);
    expectEqual(a.store, b.store);
    expect(b.store.applied.map(({ version }) => version)).toEqual([41]);
  });

  test("wants and what answers them stay within their limits however much is missing", () => {
    net.config = { ...config, gossip: { ...config.gossip, snapshotFromVersions: 1000 } };
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
    net.config = { ...config, gossip: { ...config.gossip, originBurstBytes: 1 << 20 } };
    const [a, b] = [net.add(1), net.add(2)];
    net.run(5000);
    net.stuck = "10.0.0.1:1";
    net.frames.length = 0;
    const size = config.laneBytesMax.own / 8;
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
    net.run(60); // What waited leaves a window at a time.
    expect(net.frames.map(({ from, frame }) => `${from} ${frame.kind}`)).toContain("10.0.0.1:1 sum");
    net.run(30_000);
    expectEqual(a.store, b.store);
  });

  test("a peer that holds more of this database than it does itself ends the use of it, is asked for nothing, and no loop begins", () => {
    const [a, b] = [net.add(1), net.add(2)];
    b.store.forget(a.store.origin, Ranges.of(1, 30)); // Node 1's disk was put back to an old copy.
    net.run(20_000);
    expect(a.events).toContainEqual({ kind: "evicted", reason: expect.stringContaining("an old copy") });
    expect(a.store.holdings().size).toBe(0);
    expect(net.frames.filter(({ from, frame }) => from === "10.0.0.1:1" && frame.kind === "want")).toEqual([]);
    expect(net.frames.length).toBeLessThan(500);
  });
});

test("versions overwritten one by one between others are made up for in frames that a reader takes", () => {
  const store = new ModelStore(1);
  const { spansMax } = config.gossip;
  const versions = 6 * spansMax;
  for (let version = 1; version <= versions; version++) {
    if (version % 2 === 0) store.forget(store.origin, Ranges.of(version, version));
    else store.commit([{ kind: "rows", rows: [{ table: "t", values: { id: `k${version}`, value: "once" } }] }], 1);
  }
  const [a, b] = [net.add(1, store), net.add(2)];
  net.run(10_000);
  expectEqual(a.store, b.store);
  const empties = net.frames.flatMap(({ frame }) => (frame.kind === "empty" ? frame.empties : []));
  expect(empties.reduce((sum, it) => sum + it.versions.spanCount, 0)).toBeGreaterThan(spansMax);
  expect([...a.events, ...b.events].filter(({ kind }) => kind === "refused")).toEqual([]);
});

test("one that sees a member, and has no stream to it, has not caught up, however long that lasts", () => {
  const agent = new Agent({
    cluster,
    node: idOf(1),
    hasSeeds: true,
    store: new ModelStore(1),
    config,
    rng: new Rng(1),
  });
  const now = { wallMs: 1_790_000_000_000, monotonicMs: 0 };
  const wake = (): void => void agent.handle({ kind: "wake", timer: { kind: "alone" } }, now);
  const member = { nodeId: idOf(2), boot: 1, incarnation: 0, address: "10.0.0.2:1", meta: { api: "" } };
  agent.handle({ kind: "start" }, now);
  agent.handle({ kind: "member", member: { ...member, state: "alive" }, previous: undefined }, now);
  wake();
  expect(agent.hasSynced).toBe(false);
  agent.handle({ kind: "member", member: { ...member, state: "dead" }, previous: "alive" }, now);
  wake();
  expect(agent.hasSynced).toBe(true); // Now there is nobody to compare with.
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
    const good = (value: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id: "k", value } }] });
    const bad: Write = { kind: "statements", statements: [] };
    const writes = [good("v"), bad, good("w")].map((write, ticket) => ({ ticket, write }));
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
