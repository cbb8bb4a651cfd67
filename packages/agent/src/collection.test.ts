/** Who is given up, by whom: the first of those that are up, for most of the cluster, and after a long time only. */
import type { NodeId } from "@patina/base";
import { expect, test } from "vitest";
import { Collection } from "./collection.js";
import { testAgentConfig } from "./config.js";
import { idOf, ModelStore } from "./testing/model-store.js";

const LONG_MS = testAgentConfig.evictAfterMs + 1;
const [A, B, C, D, E] = [1, 2, 3, 4, 5].map(idOf) as [NodeId, NodeId, NodeId, NodeId, NodeId];

/** Whom `self` would evict, when for a long time it has seen only `up`. */
function overdue(roster: readonly NodeId[], self: NodeId, up: readonly NodeId[], afterMs = LONG_MS): NodeId[] {
  const store = new ModelStore(1);
  store.members = { ...store.members, roster: () => [...roster] };
  const collection = new Collection(store, testAgentConfig);
  collection.overdue(up, self, { monotonicMs: 0, wallMs: 0 });
  return collection.overdue(up, self, { monotonicMs: afterMs, wallMs: 0 });
}

test("one that is gone for long is given up by the first of the others, and by nobody else", () => {
  expect(overdue([A, B, C], A, [B])).toEqual([C]);
  expect(overdue([A, B, C], B, [A])).toEqual([]);
  expect(overdue([A, B, C], B, [C])).toEqual([A]);
  expect(overdue([A, B, C], A, [B], LONG_MS - 2)).toEqual([]);
});

test("of the two sides of a parted cluster, at most one gives up the other", () => {
  expect(overdue([A, B, C, D, E], A, [B])).toEqual([]);
  expect(overdue([A, B, C, D, E], C, [D, E])).toEqual([A, B]);
  expect(overdue([A, B, C, D], A, [D])).toEqual([B, C]);
  expect(overdue([A, B, C, D], B, [C])).toEqual([]);
  expect([overdue([A, B], A, []), overdue([A, B], B, [])]).toEqual([[B], []]);
});
