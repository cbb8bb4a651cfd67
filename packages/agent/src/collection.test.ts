/** Who is given up, by whom: the first of those that are up, for most of the cluster, and after a long time only. */
import type { NodeId, OriginId } from "@patina/base";
import { expect, test } from "vitest";
import { Collection, type HeardOf } from "./collection.js";
import { testAgentConfig } from "./config.js";
import { idOf, ModelStore } from "./testing/model-store.js";

const LONG_MS = testAgentConfig.evictAfterMs + 1;
const [A, B, C, D, E] = [1, 2, 3, 4, 5].map(idOf) as [NodeId, NodeId, NodeId, NodeId, NodeId];

const heardAt = (ms: number, up: readonly NodeId[]): HeardOf => new Map(up.map((node) => [node, ms]));

/** Whom `self` would evict, when for a long time it has seen only `up`. */
function overdue(roster: readonly NodeId[], self: NodeId, up: readonly NodeId[], afterMs = LONG_MS): NodeId[] {
  const store = new ModelStore(1);
  store.members = { ...store.members, roster: () => [...roster] };
  const collection = new Collection(store, testAgentConfig);
  collection.overdue(heardAt(0, up), self, { monotonicMs: 0, wallMs: 0 });
  return collection.overdue(heardAt(afterMs, up), self, { monotonicMs: afterMs, wallMs: 0 });
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

test("those that only seem to be up, and are behind the same cut, give nobody up", () => {
  const store = new ModelStore(1);
  store.members = { ...store.members, roster: () => [A, B, C, D, E] };
  const collection = new Collection(store, testAgentConfig);
  // C, D and E were last heard of before the cut; that E is gone is found out first.
  const up: HeardOf = new Map([...heardAt(LONG_MS, [B]), ...heardAt(-1, [C, D])]);
  const overdueAt = (up: HeardOf, monotonicMs: number): NodeId[] =>
    collection.overdue(up, A, { monotonicMs, wallMs: 0 });
  overdueAt(up, 0);
  expect(overdueAt(up, LONG_MS)).toEqual([]);
  const heard: HeardOf = new Map([...up, [C, LONG_MS + 1]]);
  expect(overdueAt(heard, LONG_MS + 1)).toEqual([E]);
});

test("what all hold is known of copies: of a member that began anew, the one before says nothing", () => {
  const store = new ModelStore(1);
  const own = store.origin;
  const [before, anew] = [`${B}${"1".repeat(16)}`, `${B}${"2".repeat(16)}`];
  let copies: OriginId[] = [own, before];
  store.members = { ...store.members, copies: () => copies };
  const collection = new Collection(store, testAgentConfig);
  const isStableAfter = (members: readonly NodeId[]): boolean => {
    const count = store.stable.length;
    for (const member of members) collection.noteHeld(member, store.holdings());
    collection.collect({ monotonicMs: 0, wallMs: 0 });
    return store.stable.length > count;
  };
  expect([isStableAfter([B]), isStableAfter([B])]).toEqual([false, true]);
  collection.noteHeld(B, store.holdings());
  copies = [own, anew];
  expect([isStableAfter([]), isStableAfter([C]), isStableAfter([B])]).toEqual([false, false, true]);
  expect(collection.rounds).toBe(2);
});
