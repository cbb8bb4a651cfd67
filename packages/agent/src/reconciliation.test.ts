/** What a member says of itself to those that compare with it, and what its answers depend on. */
import { type Change, type Now, Ranges, Rng, VERSION_MAX } from "@patina/base";
import { decodeFrame, encodeFrame, type Frame } from "@patina/gossip";
import { expect, test } from "vitest";
import { testAgentConfig as config } from "./config.js";
import type { ReplicaEffect } from "./replica-effect.js";
import { Replica } from "./replica.js";
import { idOf, ModelStore, originOf } from "./testing/model-store.js";

const PEER = idOf(2);
const OTHER = originOf(3);
const NOW: Now = { wallMs: 1_790_000_000_000, monotonicMs: 0 };
const change = (version: number, more: Partial<Change> = {}): Change => ({ origin: OTHER, version, hlc: 1n, body: new Uint8Array(3), ...more }); // prettier-ignore

function frames(effects: readonly ReplicaEffect[]): Frame[] {
  return effects.flatMap((it) => (it.kind === "frame" ? [it.frame] : []));
}

function replica(change: (store: ModelStore) => void): Replica {
  const store = new ModelStore(1);
  change(store);
  return new Replica(store, config, new Rng(1));
}

/** What it answers to a want of versions that it has like this. */
function answer(changes: Change[], empty = Ranges.empty): string[] {
  const member = replica((store) => Object.assign(store, { extract: () => ({ changes, empty }) }));
  const wants = [{ origin: OTHER, versions: Ranges.of(1, 2) }];
  return frames(member.onFrame(PEER, { kind: "want", wants }, NOW)).map(({ kind }) => kind);
}

test.each([
  ["read back from rows", [change(1, { chain: 7n }), change(2)], Ranges.empty],
  ["said to be empty", [change(1, { chain: 7n })], Ranges.of(2, 2)],
])("an answer with a version that was %s depends on all that the rows know of", (_, changes, empty) => {
  expect(answer(changes, empty)[0]).toBe("repairing");
});

/** Every other version: each is a span of its own. */
const scattered = (spans: number): Ranges =>
  Ranges.from(Array.from({ length: spans }, (_, i) => [2 * i + 1, 2 * i + 1] as const));

test("no frame has more spans of an origin than a reader takes, and nothing is left unsaid for it", () => {
  const { spansMax } = config.gossip;
  const empty = scattered(2 * spansMax + 1);
  const member = replica((store) => Object.assign(store, { extract: () => ({ changes: [], empty }) }));
  const wants = [{ origin: OTHER, versions: empty }];
  const said = frames(member.onFrame(PEER, { kind: "want", wants }, NOW));
  const parts = said.flatMap((frame) => (frame.kind === "empty" ? frame.empties : []));
  expect(parts.map(({ versions }) => versions.spanCount)).toEqual([spansMax, spansMax, 1]);
  expect(Ranges.from(parts.flatMap(({ versions }) => [...versions.spans]))).toEqual(empty);
  for (const frame of said) expect(decodeFrame(encodeFrame(frame), config.gossip)).toEqual(frame);
});

test("no more is asked for, and no more holdings are told, than one frame may say", () => {
  const { spansMax } = config.gossip;
  const gaps = scattered(2 * spansMax);
  const holding = { head: 4 * spansMax, gaps };
  const member = replica((store) => Object.assign(store, { holdings: () => new Map([[OTHER, holding]]) }));
  const theirs = { kind: "holdings", holdings: new Map([[OTHER, { head: holding.head, gaps: Ranges.empty }]]), isReply: false, isDurable: true } as const; // prettier-ignore
  const other = { kind: "sum", holdingsHash: "f".repeat(16), digest: "f".repeat(64), isReply: false, isDurable: true } as const; // prettier-ignore
  const said = [other, theirs].flatMap((frame) => frames(member.onFrame(PEER, frame, NOW)));
  expect(new Set(said.map(({ kind }) => kind))).toEqual(new Set(["holdings", "want"]));
  for (const frame of said) expect(decodeFrame(encodeFrame(frame), config.gossip)).toEqual(frame);
});

test("an answer of versions as they were made depends on nothing", () => {
  expect(answer([change(1, { chain: 7n }), change(2, { chain: 8n })])).toEqual(["changes", "repaired"]);
});

test.each([
  ["repairing", { kind: "repairing", basis: new Map([[originOf(1), 1]]) }],
  [
    "snapshot",
    {
      kind: "snapshot",
      holdings: new Map(),
      basis: new Map([[originOf(1), 1]]),
      changes: [],
      after: new Uint8Array(),
      next: new Uint8Array(),
    },
  ],
  [
    "holdings",
    {
      kind: "holdings",
      holdings: new Map([[originOf(1), { head: 1, gaps: Ranges.empty }]]),
      isReply: true,
      isDurable: true,
    },
  ],
] satisfies [string, Frame][])(
  "one that hears by %s of a version of its own that it does not have was put back",
  (_, frame) => {
    expect(replica(() => undefined).onFrame(PEER, frame, NOW)).toContainEqual(
      expect.objectContaining({ event: expect.objectContaining({ kind: "evicted" }) as unknown }),
    );
  },
);

test("what is owed of its own for good is no version that it made", () => {
  const frame: Frame = { kind: "repairing", basis: new Map([[originOf(1), VERSION_MAX]]) };
  expect(replica(() => undefined).onFrame(PEER, frame, NOW)).toEqual([]);
});

test("a peer is told what is waited for of its own versions", () => {
  const basis = new Map([[originOf(2), 7], [OTHER, 3]]); // prettier-ignore
  const member = replica((store) => {
    store.basis = () => basis;
    Object.defineProperty(store, "isWhole", { value: false });
  });
  const report = { kind: "holdings", holdings: new Map(), isReply: true, isDurable: true } as const;
  expect(frames(member.onFrame(PEER, report, NOW))).toEqual([
    { kind: "repairing", basis: new Map([[originOf(2), 7]]) },
  ]);
});

test.each([
  [true, true, true],
  [true, false, false],
  [false, true, false],
])("durable %s and whole %s, it says that others may count on what it holds: %s", (isDurable, isWhole, expected) => {
  const member = replica((store) => Object.defineProperties(store, { isDurable: { value: isDurable }, isWhole: { value: isWhole } })); // prettier-ignore
  const sum: Frame = { kind: "sum", holdingsHash: "1".repeat(16), digest: "0".repeat(64), isReply: false, isDurable: true }; // prettier-ignore
  expect(frames(member.onFrame(PEER, sum, NOW))).toMatchObject([{ kind: "holdings", isDurable: expected }]);
  expect(frames(member.compareWith(PEER, NOW))).toMatchObject([{ kind: "sum", isDurable: expected }]);
});
