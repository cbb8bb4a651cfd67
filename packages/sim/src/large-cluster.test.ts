/** How changes spread in large clusters, where every member is reached by way of relays: how fast, and at what cost. */
import { defaultAgentConfig } from "@patina/agent";
import { expect, test } from "vitest";
import { LargeCluster } from "./testing/large-cluster.js";

test("64 members and fewer are told directly, once each", () => {
  const figures = new LargeCluster({ nodes: 40, deadShare: 0, stallProbability: 0, seed: 1 }).run(20);
  expect(figures).toMatchObject({ missing: 0, copies: 1, streamsPerNode: 2 * 39 });
});

test("1,000 members, one in ten dead unnoticed, one frame in a hundred held up: 2.3 copies and 70 ms at most", () => {
  const figures = new LargeCluster({ nodes: 1000, deadShare: 0.1, stallProbability: 0.01, seed: 7 }).run(12);
  expect(figures.missing).toBe(0);
  expect(figures.copies).toBeLessThanOrEqual(2.3);
  expect(figures.p99Ms).toBeLessThanOrEqual(70);
}, 600_000);

test("without heads, what both relays of a group lose waits for anti-entropy", () => {
  const { gossip } = defaultAgentConfig;
  const config = { ...defaultAgentConfig, gossip: { ...gossip, headsFanout: 0 } };
  const figures = new LargeCluster({ nodes: 120, deadShare: 0.3, stallProbability: 0, seed: 3 }, config).run(40);
  const told = new LargeCluster({ nodes: 120, deadShare: 0.3, stallProbability: 0, seed: 3 }).run(40);
  expect(figures.p999Ms).toBeGreaterThan(250);
  expect(told.p999Ms * 1.5).toBeLessThan(figures.p999Ms);
  expect(told.missing).toBe(0);
}, 180_000);

test("what all of a large cluster hold is known to each of them, though most have no stream to each other", () => {
  const options = { nodes: 80, deadShare: 0, stallProbability: 0, seed: 4 };
  const withoutVisits = { ...defaultAgentConfig, visitEveryMs: Infinity };
  expect(new LargeCluster(options, withoutVisits).stableAfter(300_000)).toBe(0);
  expect(new LargeCluster(options).stableAfter(300_000)).toBe(options.nodes);
}, 300_000);
