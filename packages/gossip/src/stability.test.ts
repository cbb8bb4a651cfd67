/** What all hold may be forgotten only when nothing older can still arrive anywhere. */
import { type Holdings, Ranges } from "@patina/base";
import { expect, test } from "vitest";
import { Stability } from "./stability.js";

const [A, B, C] = ["a", "b", "c"] as const;
const held = (heads: Record<string, number>, gaps: Record<string, [number, number]> = {}): Holdings =>
  new Map(
    Object.entries(heads).map(([origin, head]) => {
      const gap = gaps[origin];
      return [origin, { head, gaps: gap === undefined ? Ranges.empty : Ranges.of(...gap) }];
    }),
  );
const plain = (heads: ReadonlyMap<string, number> | undefined) => heads && Object.fromEntries(heads);

/** A round in which each of them reports. */
function round(stability: Stability, reports: Record<string, Holdings>): ReturnType<typeof plain> {
  for (const [copy, holdings] of Object.entries(reports)) stability.noteHeld(copy, holdings);
  return plain(stability.advance(Object.keys(reports)));
}

test("nothing is stable until everybody enlisted has reported twice over", () => {
  const stability = new Stability();
  for (const member of [A, B]) stability.noteHeld(member, held({ a: 5, b: 3 }));
  expect(stability.advance([A, B, C])).toBeUndefined();
  stability.noteHeld(C, held({ a: 4, b: 3 }));
  expect(stability.advance([A, B, C])).toBeUndefined(); // A candidate: a up to 4, and somebody holds 5.
  expect(stability.advance([A, B, C])).toBeUndefined();
  const all = held({ a: 5, b: 3 });
  expect(round(stability, { [A]: all, [B]: all, [C]: all })).toEqual({ a: 4, b: 3 });
  expect(round(stability, { [A]: all, [B]: all, [C]: all })).toEqual({ a: 5, b: 3 });
});

test("an older write that one member still has for itself holds back the deletion that all have", () => {
  const stability = new Stability();
  // B wrote its 2 before it heard of A's deletion 7, and nobody has it yet.
  const [without, withIt] = [held({ a: 7, b: 1 }), held({ a: 7, b: 2 })];
  expect(round(stability, { [A]: without, [B]: withIt })).toBeUndefined();
  expect(round(stability, { [A]: without, [B]: withIt })).toBeUndefined();
  expect(round(stability, { [A]: withIt, [B]: withIt })).toEqual({ a: 7, b: 1 });
});

test("a member's first report in a round counts, and what it says of an origin that the others do not know", () => {
  const stability = new Stability();
  stability.noteHeld(A, held({ a: 2 }));
  stability.noteHeld(A, held({ a: 9 }));
  expect(round(stability, { [A]: held({ a: 9 }), [B]: held({ a: 2, b: 4 }) })).toBeUndefined();
  expect(round(stability, { [A]: held({ a: 9 }), [B]: held({ a: 9, b: 4 }) })).toBeUndefined();
  expect(round(stability, { [A]: held({ a: 9, b: 4 }), [B]: held({ a: 9, b: 4 }) })).toEqual({ a: 2 });
});

test("a gap counts as not held, and who is evicted no longer counts", () => {
  const stability = new Stability();
  const [all, gapped] = [held({ a: 9 }), held({ a: 9 }, { a: [4, 6] })];
  expect(round(stability, { [A]: all, [B]: gapped })).toBeUndefined();
  expect(round(stability, { [A]: all, [B]: gapped })).toBeUndefined();
  expect(round(stability, { [A]: all })).toEqual({ a: 3 });
  expect(round(stability, { [A]: all })).toEqual({ a: 9 });
  expect(stability.advance([])).toBeUndefined();
});

test("what one alone reported before it was given up holds up the others for a few rounds, not for ever", () => {
  const stability = new Stability();
  const all = held({ a: 5 });
  round(stability, { [A]: all, [B]: held({ a: 5, b: 3 }) }); // And nobody ever heard of B's 3.
  const after = [1, 2, 3, 4, 5].map(() => round(stability, { [A]: all, [C]: all }));
  expect(after).toEqual([undefined, undefined, undefined, undefined, { a: 5 }]);
});
