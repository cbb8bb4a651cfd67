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

test("nothing is stable until everybody enlisted has reported twice over", () => {
  const stability = new Stability();
  for (const member of [A, B]) stability.noteHeld(member, held({ a: 5, b: 3 }));
  expect(stability.advance([A, B, C])).toBeUndefined();
  stability.noteHeld(C, held({ a: 4, b: 3 }));
  expect(stability.advance([A, B, C])).toBeUndefined(); // A candidate: a up to 4, and somebody holds 5.
  expect(stability.advance([A, B, C])).toBeUndefined();
  stability.noteHeld(C, held({ a: 5, b: 3 }));
  expect(plain(stability.advance([A, B, C]))).toEqual({ a: 4, b: 3 });
  expect(plain(stability.advance([A, B, C]))).toEqual({ a: 5, b: 3 });
});

test("an older write that one member still has for itself holds back the deletion that all have", () => {
  const stability = new Stability();
  // B wrote its 2 before it heard of A's deletion 7, and nobody has it yet.
  stability.noteHeld(A, held({ a: 7, b: 1 }));
  stability.noteHeld(B, held({ a: 7, b: 2 }));
  expect(stability.advance([A, B])).toBeUndefined();
  expect(stability.advance([A, B])).toBeUndefined();
  stability.noteHeld(A, held({ a: 7, b: 2 }));
  expect(plain(stability.advance([A, B]))).toEqual({ a: 7, b: 1 });
});

test("a gap counts as not held, and who is evicted no longer counts", () => {
  const stability = new Stability();
  stability.noteHeld(A, held({ a: 9 }));
  stability.noteHeld(B, held({ a: 9 }, { a: [4, 6] }));
  stability.advance([A, B]);
  expect(stability.advance([A, B])).toBeUndefined();
  stability.noteHeld(A, held({ a: 9 }));
  expect(plain(stability.advance([A]))).toEqual({ a: 3 });
  expect(plain(stability.advance([A]))).toEqual({ a: 9 });
  expect(stability.advance([])).toBeUndefined();
});
