/** A member very far behind takes a peer's rows: in pieces, over interruptions, and holds nothing before the last of them. */
import { Ranges } from "@patina/base";
import { beforeEach, expect, test } from "vitest";
import { testAgentConfig as config } from "./config.js";
import { expectEqual } from "./testing/expect-equal.js";
import { ModelStore } from "./testing/model-store.js";
import { Net } from "./testing/net.js";

const FAR = config.gossip.snapshotFromVersions * 4;
let net: Net;
beforeEach(() => {
  net = new Net();
});

/** A store with that many versions of as many rows. */
function longLived(n: number): ModelStore {
  const store = new ModelStore(n);
  for (let i = 0; i < FAR; i++) {
    store.commit([{ kind: "rows", rows: [{ table: "t", values: { id: `k${i % 40}`, value: `v${i}` } }] }], 1);
  }
  return store;
}

const count = (kind: string): number => net.frames.filter(({ frame }) => frame.kind === kind).length;

test("a new member gets rows, not history, and goes on by single versions", () => {
  const [a, b] = [net.add(1, longLived(1)), net.add(2)];
  net.run(5000);
  expectEqual(a.store, b.store);
  expect([count("snapshot") >= 40, b.store.applied.length]).toEqual([true, 0]);
  net.put(1, 1, "k1", "later");
  net.run(1000);
  expectEqual(a.store, b.store);
  const states = b.events.flatMap((it) => (it.kind === "bootstrap" ? [it.state] : []));
  expect(states).toEqual(["begun", "done"]);
});

test("one that lacks less than that gets what it lacks, and no snapshot", () => {
  const store = new ModelStore(1);
  store.forget(store.origin, Ranges.of(1, config.gossip.snapshotFromVersions));
  net.add(1, store);
  net.add(2);
  net.run(5000);
  expect([count("snapshot"), count("empty") > 0]).toEqual([0, true]);
});

test("while rows come and change, nothing of it counts as held; when the peer goes, another goes on where it was", () => {
  const a = net.add(1, longLived(1));
  const c = net.add(3);
  net.run(10_000);
  expectEqual(a.store, c.store);
  net.frames.length = 0;
  let pieces = 0;
  let silent: string | undefined;
  net.loses = (from, { kind }) => {
    if (kind !== "snapshot") return false;
    silent ??= pieces++ === 20 ? from : undefined;
    return from === silent; // After twenty pieces that peer says no more.
  };
  const b = net.add(2);
  for (let i = 0; i < 30; i++) {
    net.put(1, i, `k${(i * 7) % 45}`, `during ${i}`);
    net.run(20);
    if (silent === undefined) expect(b.store.holdings().get(a.store.origin)).toBeUndefined();
  }
  net.run(30_000);
  expect(silent).toBeDefined();
  expect(new Set(net.frames.flatMap(({ from, frame }) => (frame.kind === "snapshot" ? [from] : []))).size).toBe(2);
  expectEqual(a.store, b.store, c.store);
  expect(count("snapshot")).toBeLessThan(2 * 45); // It did not begin anew.
});

test("what is written during the pass is made up for version by version, much as it is: it does not begin anew", () => {
  const WRITES = 2 * config.gossip.snapshotFromVersions;
  const a = net.add(1, longLived(1));
  const b = net.add(2);
  const states = (): string[] => b.events.flatMap((it) => (it.kind === "bootstrap" ? [it.state] : []));
  let written = 0;
  net.loses = (_, { kind }) => {
    if (kind === "snapshot") {
      for (let i = 0; i < 2 && written < WRITES; i++) net.put(1, ++written, `k${written % 40}`, `during ${written}`);
    }
    return kind === "changes" && states().length === 1; // Of what is pushed meanwhile, nothing arrives.
  };
  net.run(20_000);
  expect(written).toBe(WRITES);
  expectEqual(a.store, b.store);
  expect(states()).toEqual(["begun", "done"]);
});
