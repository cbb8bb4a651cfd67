/** One member's copy, frame by frame: in what order things are applied. */
import { type Change, hlcFromMs, must, type Now, originNode, Rng } from "@patina/base";
import { expect, test } from "vitest";
import { testAgentConfig } from "./config.js";
import { Replica } from "./replica.js";
import type { ReplicaEffect } from "./replica-effect.js";
import { ModelStore } from "./testing/model-store.js";

/** With room for all of a flood. */
const config = { ...testAgentConfig, gossip: { ...testAgentConfig.gossip, parkedBytesMax: 1 << 20 } };
const now: Now = { wallMs: 1_790_000_000_000, monotonicMs: 0 };

/** So many changes of a node's, of about so many bytes each. */
function written(node: number, count: number, bytes: number): Change[] {
  const store = new ModelStore(node);
  return Array.from({ length: count }, (_, n) => {
    const values = { id: `k${n}`, value: "x".repeat(bytes) };
    const [outcome] = store.commit([{ kind: "rows", rows: [{ table: "t", values }] }], now.wallMs);
    return must(outcome?.ok === true ? outcome.change : undefined, "a change");
  });
}

/** They come from the node that made them. */
function hear(replica: Replica, changes: readonly Change[]): ReplicaEffect[] {
  const [first] = changes;
  return replica.onFrame(originNode(must(first, "a change").origin), { kind: "changes", changes }, now);
}

test("the alarm over a clock far ahead is raised once, whatever is worked off meanwhile", () => {
  const replica = new Replica(new ModelStore(1), config, new Rng(1));
  const alarms: ReplicaEffect[] = [];
  const note = (effects: readonly ReplicaEffect[]): void => {
    alarms.push(...effects.filter((it) => it.kind === "event" && it.event.kind === "clock-ahead"));
  };
  const [fine, ahead] = written(4, 2, 10) as [Change, Change];
  note(hear(replica, [fine, { ...ahead, hlc: hlcFromMs(now.wallMs + 3_600_000) }]));
  note(hear(replica, written(2, 4, config.applyBytesMax)));
  for (const change of written(3, 2, 10)) {
    note(hear(replica, [change]));
    note(replica.onWake({ kind: "apply" }, [], now));
  }
  expect(alarms.length).toBe(1);
});

test("while one origin's flood is worked off in slices, a change of another's is applied as it comes", () => {
  const store = new ModelStore(1);
  const replica = new Replica(store, config, new Rng(1));
  const [flood, other] = [written(2, 4, config.applyBytesMax), written(3, 2, 10)];
  for (const changes of [flood, other.slice(0, 1), other.slice(1)]) hear(replica, changes);
  const [f, o] = [must(flood[0], "a change").origin, must(other[0], "a change").origin];
  expect(store.applied.map(({ origin }) => origin)).toEqual([f, o, o]);
  for (let turn = 1; turn < flood.length; turn++) replica.onWake({ kind: "apply" }, [], now);
  expect(store.applied.map(({ origin }) => origin)).toEqual([f, o, o, f, f, f]);
});
